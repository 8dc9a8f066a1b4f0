//! Chooses the items for synthetic interactions: the predicted ones, or others as a baseline.

use std::collections::HashSet;

use super::{
    cases::capped,
    settings::{Items, Settings},
};
use locket::{
    Pack,
    internals::{
        context,
        hash::spread,
        pack::ItemId,
        predict::{Predictor, Query},
    },
};
use locket_builder::profile::Profile;

/// Returns the items for one user.
pub(super) fn choose(
    pack: &Pack,
    predictor: &Predictor<'_>,
    query: &Query<'_>,
    settings: &Settings,
    person: &Profile,
) -> Vec<ItemId> {
    let written = |item: &ItemId| pack.texts(*item).len() > 0;
    match settings.items {
        Items::Predicted => context::predict_written(pack, predictor, query, settings.synthetic),
        Items::Random => {
            let met: HashSet<ItemId> = person.history.iter().filter_map(|i| pack.find(&i.item)).collect();
            let open = |item: &ItemId| written(item) && !met.contains(item) && query.target != Some(*item);
            let mut drawn: Vec<(u64, ItemId)> = (0..pack.items() as ItemId)
                .filter(open)
                .map(|item| (spread(&format!("{}\n{item}\n{}", person.user, settings.seed)), item))
                .collect();
            drawn.sort_unstable();
            drawn.into_iter().map(|d| d.1).take(settings.synthetic).collect()
        }
        Items::Oracle => {
            let hidden = &person.history[..person.history.len() - capped(settings, person).len()];
            let known = hidden.iter().rev().filter_map(|i| pack.find(&i.item));
            known.filter(written).filter(|&item| query.target != Some(item)).take(settings.synthetic).collect()
        }
    }
}

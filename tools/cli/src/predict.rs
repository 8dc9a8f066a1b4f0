//! `locket predict`

use std::path::PathBuf;

use locket::{Engine, PredictOptions, Predicted, Via};
use serde_json::json;

use crate::{
    open,
    output::{note, say},
    ui,
};

#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  locket predict --store me --pack shop.pack -k 5 --explain\n  locket predict --store me --pack shop.pack --popularity 0 --diversity 0.3"
)]
pub struct Args {
    /// The user's store directory
    #[arg(long)]
    store: PathBuf,
    /// The population pack
    #[arg(long)]
    pack: PathBuf,
    /// Number of items
    #[arg(short, default_value_t = 10)]
    k: usize,
    /// Show why each item is predicted
    #[arg(long)]
    explain: bool,
    /// Never predict these items (ids)
    #[arg(long, num_args = 1.., value_name = "ID")]
    exclude: Vec<String>,
    /// Factor on the weight of popularity: 1 is the learned weight, 0 ranks by the user's taste
    /// alone, negative prefers rare items
    #[arg(long, default_value_t = 1.0, allow_negative_numbers = true)]
    popularity: f32,
    /// Weight of diversity among the predictions, 0 to 1
    #[arg(long, default_value_t = 0.0)]
    diversity: f32,
    /// Weight of synthetic interactions relative to real ones, 0 to 1
    #[arg(long, default_value_t = 0.0)]
    synthetic_weight: f32,
}

pub fn run(args: &Args, json: bool) -> anyhow::Result<()> {
    let engine = open::open_store(&args.store)?.with_pack(open::open_pack(&args.pack)?);
    let options = PredictOptions::new(args.k)
        .with_explain(args.explain)
        .with_exclude(args.exclude.clone())
        .with_popularity(args.popularity)
        .with_diversity(args.diversity)
        .with_synthetic_weight(args.synthetic_weight);
    let predicted = engine.predict(&options)?;
    if predicted.is_empty() && args.k > 0 {
        note!("nothing to predict: every item of the pack is in the history or excluded");
    }
    if json {
        return ui::print_json(&json!({ "predictions": predicted }));
    }
    show(&engine, &predicted)
}

/// Prints one line per prediction, followed by one line per reason.
pub fn show(engine: &Engine, predicted: &[Predicted]) -> anyhow::Result<()> {
    let name = |id: &str| {
        let pack = engine.pack()?;
        pack.item_title(pack.find(id)?).map(str::to_owned)
    };
    for (n, p) in (1..).zip(predicted) {
        say!("{n:2}. {:.3}  {}", p.score, p.item_title.as_deref().unwrap_or(&p.item))?;
        for path in p.paths.iter().take(5).filter(|p| p.share >= 0.05) {
            let from = path.from.as_deref().map(|id| name(id).unwrap_or_else(|| id.to_owned()));
            let from = from.map_or(String::new(), |f| format!("{f} -> "));
            let via = match &path.via {
                Via::People(1) => "one person met both".to_owned(),
                Via::People(n) => format!("{n} people met both"),
                Via::Taste => "people with shared taste".to_owned(),
                Via::Content(words) => format!("alike in: {}", words.join(", ")),
                Via::Category(name) => format!("also in {name}"),
                Via::Returning(n) => format!("met by {n} people who met other items too"),
                Via::Popularity(n) => format!("met by {n} people"),
            };
            say!("       {:3.0} %  {from}{via}", path.share * 100.0)?;
        }
    }
    Ok(())
}

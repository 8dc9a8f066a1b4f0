//! `locket pack build --tune`: the policy of a pack.

use std::path::PathBuf;

use locket::{Kind, PackPolicy, Sources};
use locket_builder::pack::{BuildOptions, Holdout, build};
use locket_eval::{TuneOptions, tune};

use crate::{open, output::say, ui};

/// Measurement of what the pack's texts add to a person's own
#[derive(clap::Args)]
#[command(next_help_heading = "What reviews are written from")]
pub struct TuneArgs {
    /// Measure with this model (a name or a GGUF file) whether retrieved or synthetic texts improve
    /// reviews of people with own texts; the pack keeps the result, and the engine follows it
    #[arg(long, value_name = "MODEL", conflicts_with = "edges")]
    tune: Option<String>,
    /// Adapter of this model: a name, `none`, or a LoRA file; default: its adapter for reviews
    #[arg(long, requires = "tune", value_name = "ADAPTER")]
    tune_adapter: Option<PathBuf>,
    /// Measure at most this many people; each takes three texts
    #[arg(long, default_value_t = 100, requires = "tune", value_name = "N")]
    tune_people: usize,
}

impl TuneArgs {
    /// Returns the measured policy of a pack of `profiles`, if a measurement is asked for.
    pub(super) fn policy(&self, profiles: &[PathBuf], options: &BuildOptions) -> anyhow::Result<Option<PackPolicy>> {
        let Some(name) = &self.tune else { return Ok(None) };
        let model = open::load_model(name, self.tune_adapter.as_deref(), Some(&Kind::review()))?;
        let scratch = tempfile::tempdir()?;
        let path = scratch.path().join("tune.pack");
        let spinner = ui::spinner("profiles read:");
        let held_out = BuildOptions { holdout: Holdout::All, ..options.clone() };
        let built = build(profiles, &path, &held_out, |n| {
            spinner.set_position(n as u64);
            ui::alive()
        });
        spinner.finish_and_clear();
        built?;
        let bar = ui::bar(1, "texts");
        let measure = TuneOptions { people: self.tune_people, seed: 1, threads: ui::threads() };
        let policy = tune(profiles, &path, &model, &measure, &mut ui::moving(&bar));
        bar.finish_and_clear();
        Ok(Some(policy?))
    }
}

/// Shows a policy and the measurement behind it.
pub(super) fn told_policy(policy: &PackPolicy) -> anyhow::Result<()> {
    let name = |sources: Sources| match sources {
        Sources::Own => "the person's own texts",
        Sources::Retrieved => "own and other people's texts on the item",
        _ => "own, other people's and synthetic texts",
    };
    say!("  reviews are written from {}", name(policy.sources))?;
    say!(
        "  measured with {} on {} people (ROUGE-1; gain over own texts, two errors decide):",
        policy.model,
        policy.people
    )?;
    for m in &policy.measured {
        say!("    {:<42} {:.3}  {:+.3} ± {:.3}", name(m.sources), m.rouge1, m.gain, m.gain_se)?;
    }
    if let Some(fit) = &policy.rating {
        say!(
            "  ratings are calibrated on {}: held-out error {:.3} -> {:.3} stars, loss {:.3} -> {:.3} nats",
            fit.ratings,
            fit.mae[0],
            fit.mae[1],
            fit.loss[0],
            fit.loss[1]
        )?;
    }
    Ok(())
}

//! An engine for tests of apps. It keeps records in memory and generates scripted texts, without a
//! model, a pack or files.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use locket::{
    Chunk, Export, Part, ReasoningPath, StoreError,
    internals::{hash, history},
};

use crate::{
    AugmentRequest, Augmented, Availability, Backend, Failure, FakeScript, GenerateRequest, ImportReport, Interaction,
    LocketError, MemoryLevel, ModelConfig, Plan, Power, PredictRequest, Prediction, Priority, Record, Stats,
    SyntheticText, TextListener, Thermal, WritingTask, Written,
    backing::{Backing, Listener},
    real::read_export,
    task::Stop,
    writing::Import,
};

/// The records of a fake engine, in place of a store.
#[derive(Default)]
struct Kept {
    entries: Vec<locket::Entry>,
    next_id: u64,
}

impl Kept {
    fn append(&mut self, record: locket::Record) -> u64 {
        let id = self.next_id;
        self.entries.push(locket::Entry { id, record });
        self.next_id += 1;
        id
    }

    /// Returns the entries oldest first.
    fn sorted(&self) -> Vec<locket::Entry> {
        let mut entries = self.entries.clone();
        history::sort_by_time(&mut entries, |e| e.record.interaction.time);
        entries
    }
}

pub(crate) struct Fake {
    script: FakeScript,
    kept: Mutex<Kept>,
    /// Whether calls are paused: foreground, background.
    paused: [AtomicBool; 2],
}

impl Fake {
    pub(crate) fn new(script: FakeScript) -> Self {
        Self { script, kept: Mutex::default(), paused: Default::default() }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[allow(clippy::panic)]
    fn may_fail(&self) -> Result<(), LocketError> {
        let said = |case: fn(String) -> LocketError| Err(case("the fake engine was told to fail like this".into()));
        match self.script.fails {
            None => Ok(()),
            Some(Failure::NoModel) => said(LocketError::NoModel),
            Some(Failure::NoPack) => said(LocketError::NoPack),
            Some(Failure::ModelMissing) => said(LocketError::ModelMissing),
            Some(Failure::ModelUnusable) => said(LocketError::ModelUnusable),
            Some(Failure::WouldNotFit) => said(LocketError::WouldNotFit),
            Some(Failure::WrongKey) => said(LocketError::WrongKey),
            Some(Failure::StoreLocked) => said(LocketError::StoreLocked),
            Some(Failure::StoreDamaged) => said(LocketError::StoreDamaged),
            Some(Failure::KeyFileMissing) => said(LocketError::KeyFileMissing),
            Some(Failure::StoreReadOnly) => said(LocketError::StoreReadOnly),
            Some(Failure::StoreTooNew) => said(LocketError::StoreTooNew),
            Some(Failure::PackUnusable) => said(LocketError::PackUnusable),
            Some(Failure::UpdateRefused) => said(LocketError::UpdateRefused),
            Some(Failure::BadInput) => said(LocketError::BadInput),
            Some(Failure::Deadline) => said(LocketError::Deadline),
            Some(Failure::Cancelled) => said(LocketError::Cancelled),
            Some(Failure::Closed) => said(LocketError::Closed),
            Some(Failure::ListenerFailed) => said(LocketError::ListenerFailed),
            Some(Failure::Storage) => said(LocketError::Storage),
            // The panic takes the same path as one in the real engine.
            Some(Failure::Internal) => panic!("the fake engine was told to fail like this"),
        }
    }

    fn set_paused(&self, priority: Option<Priority>, paused: bool) {
        for which in [Priority::Foreground, Priority::Background] {
            if priority.is_none_or(|p| p == which) {
                self.paused[which as usize].store(paused, Ordering::Relaxed);
            }
        }
    }

    /// Generates `text` word by word, as `part` of item number `item`. Returns the number of words.
    fn write(
        &self,
        priority: Priority,
        (item, part): (usize, Part),
        text: &str,
        listener: Option<&dyn TextListener>,
        stop: &Stop,
    ) -> Result<u32, LocketError> {
        stop.listen(listener, |on_chunk| {
            let mut words = 0;
            for word in text.split_inclusive(' ') {
                let until = Instant::now() + Duration::from_millis(self.script.word_ms.into());
                while (self.paused[priority as usize].load(Ordering::Relaxed) || Instant::now() < until)
                    && !stop.is_set()
                {
                    thread::sleep(Duration::from_millis(1));
                }
                if on_chunk(Chunk::new(part, item, word)).is_break() {
                    return Err(LocketError::cancelled());
                }
                words += 1;
            }
            Ok(words)
        })
    }
}

/// Returns the record in the form in which a store keeps it: checked, with its time in
/// milliseconds.
fn usable(mut record: locket::Record) -> Result<locket::Record, LocketError> {
    if let Some(defect) = record.interaction.defect() {
        return Err(StoreError::Interaction(defect).into());
    }
    record.interaction.time = record.interaction.milliseconds().unwrap_or(None);
    Ok(record)
}

impl Backing for Fake {
    fn availability(&self) -> Availability {
        self.script.availability.clone()
    }

    fn backend(&self) -> Result<Backend, LocketError> {
        self.may_fail()?;
        let why = Some("a fake engine runs on nothing".to_owned());
        let nothing = locket::Placement { devices: Vec::new(), gpu_layers: 0, why_no_gpu: why };
        Ok(Backend::of(nothing, (false, false)))
    }

    fn use_model(&self, _: ModelConfig) -> Result<(), LocketError> {
        self.may_fail()
    }

    fn record(&self, interaction: Interaction) -> Result<u64, LocketError> {
        self.may_fail()?;
        let real = usable(locket::Record::real(interaction.into()))?;
        Ok(self.kept().append(real))
    }

    fn history(&self) -> Result<Vec<Record>, LocketError> {
        self.may_fail()?;
        Ok(self.kept().sorted().into_iter().map(Record::from).collect())
    }

    fn forget(&self, id: u64) -> Result<bool, LocketError> {
        self.may_fail()?;
        let mut kept = self.kept();
        let Some(at) = kept.entries.iter().position(|e| e.id == id) else { return Ok(false) };
        if !kept.entries.remove(at).record.is_synthetic() {
            kept.entries.retain(|e| !e.record.is_synthetic());
        }
        Ok(true)
    }

    fn predict(&self, request: PredictRequest) -> Result<Vec<Prediction>, LocketError> {
        self.may_fail()?;
        let wanted = self.script.items.iter().filter(|item| !request.exclude.contains(item));
        let prediction = |(n, item): (usize, &String)| Prediction {
            item: item.clone(),
            item_title: None,
            score: 1.0 / (n + 1) as f32,
            reasons: Vec::new(),
        };
        Ok(wanted.take(request.count as usize).enumerate().map(prediction).collect())
    }

    fn augment(&self, request: AugmentRequest, listener: Listener<'_>, stop: &Stop) -> Result<Augmented, LocketError> {
        self.may_fail()?;
        let mut written = Vec::new();
        let mut done = Augmented { kept: Vec::new(), refused: 0, tokens: 0, resumed: 0, unfinished: 0 };
        for (n, item) in self.script.items.iter().take(request.count as usize).enumerate() {
            done.tokens += self.write(Priority::Background, (n, Part::Text), &self.script.text, listener, stop)?;
            let interaction = locket::Interaction::new(item.as_str(), self.script.text.as_str());
            written.push(locket::Record::synthetic(interaction, ReasoningPath::default(), "fake"));
        }
        done.kept = written.iter().cloned().map(SyntheticText::from).collect();
        let mut kept = self.kept();
        kept.entries.retain(|e| !e.record.is_synthetic());
        written.into_iter().for_each(|record| {
            kept.append(record);
        });
        Ok(done)
    }

    fn prewarm(&self, _: GenerateRequest, _: &Stop) -> Result<(), LocketError> {
        self.may_fail()
    }

    fn generate(&self, request: GenerateRequest, listener: Listener<'_>, stop: &Stop) -> Result<Written, LocketError> {
        self.may_fail()?;
        let task = request.task;
        let (part, said) = match task {
            WritingTask::Rating => (Part::Rating, self.script.rating.to_string()),
            WritingTask::Title => (Part::Title, self.script.text.clone()),
            WritingTask::Text => (Part::Text, self.script.text.clone()),
        };
        let tokens = self.write(Priority::Foreground, (0, part), &said, listener, stop)?;
        Ok(Written {
            plan: None,
            text: (task == WritingTask::Text).then(|| said.clone()),
            title: (task == WritingTask::Title).then_some(said),
            rating: (task == WritingTask::Rating).then_some(self.script.rating),
            tokens,
            prompt_tokens: 0,
            reused_tokens: 0,
            unsupported: Vec::new(),
            log_prob: 0.0,
        })
    }

    fn drafts(&self, request: GenerateRequest, count: u32, stop: &Stop) -> Result<Vec<Written>, LocketError> {
        // The fake has one text.
        (0..count.min(1)).map(|_| self.generate(request.clone(), None, stop)).collect()
    }

    fn plan(&self, _: GenerateRequest, count: u32, stop: &Stop) -> Result<Vec<Plan>, LocketError> {
        self.may_fail()?;
        if stop.is_set() {
            return Err(LocketError::cancelled());
        }
        let plan = ReasoningPath::of(None, &self.script.text, None);
        Ok((0..count.min(1)).map(|_| plan.clone().into()).collect())
    }

    fn sent(&self, draft: &str, interaction: Interaction) -> Result<u64, LocketError> {
        self.may_fail()?;
        let record = usable(locket::Record::sent(interaction.into(), draft))?;
        Ok(self.kept().append(record))
    }

    fn stats(&self) -> Result<Stats, LocketError> {
        self.may_fail()?;
        let records: Vec<_> = self.kept().sorted().into_iter().map(|e| e.record).collect();
        Ok(locket::Stats::of(&records).into())
    }

    fn reset_learning(&self) -> Result<(), LocketError> {
        self.may_fail()?;
        self.kept().entries.iter_mut().for_each(|entry| entry.record.forget_draft());
        Ok(())
    }

    fn export(&self) -> Result<String, LocketError> {
        self.may_fail()?;
        let records = self.kept().sorted().into_iter().map(|e| e.record).collect();
        let export = Export { format: "locket-export".into(), version: 1, records };
        serde_json::to_string_pretty(&export).map_err(|e| LocketError::Internal(e.to_string()))
    }

    fn import(&self, json: &str) -> Result<u64, LocketError> {
        self.may_fail()?;
        let export = read_export(json)?;
        let records = export.records.into_iter().map(usable).collect::<Result<Vec<_>, _>>()?;
        let mut kept = self.kept();
        let here: Vec<_> = kept.entries.iter().map(|e| e.record.clone()).collect();
        let new: Vec<_> = records.into_iter().filter(|record| !here.contains(record)).collect();
        let count = new.len() as u64;
        new.into_iter().for_each(|record| {
            kept.append(record);
        });
        Ok(count)
    }

    fn import_writing(&self, import: Import<'_>) -> Result<ImportReport, LocketError> {
        self.may_fail()?;
        let (source, options) = (import.source.as_source(), import.options.clone().into());
        let (found, report) = import.listened(|on_progress| locket_import::read(source, &options, on_progress))?;
        let mut kept = self.kept();
        let here: Vec<_> = kept.entries.iter().map(|e| e.record.interaction.text.clone()).collect();
        let count = found.len();
        let new: Vec<_> = found.into_iter().filter(|text| !here.contains(&text.text)).collect();
        let report = ImportReport { taken: new.len() as u64, known: (count - new.len()) as u64, ..report.into() };
        if !import.dry_run {
            new.into_iter().for_each(|text| {
                kept.append(locket::Record::real(text));
            });
        }
        Ok(report)
    }

    fn audience(&self, address: &str) -> Result<String, LocketError> {
        self.may_fail()?;
        let address = address.trim().to_lowercase();
        Ok(format!("{:016x}{:016x}", hash::hash(&address), hash::spread(&address)))
    }

    fn erase(self: Box<Self>) -> Result<(), LocketError> {
        self.may_fail()
    }

    fn release_memory(&self, _: MemoryLevel) {}

    fn pause(&self, priority: Option<Priority>) {
        self.set_paused(priority, true);
    }

    fn resume(&self, priority: Option<Priority>) {
        self.set_paused(priority, false);
    }

    fn allow_gpu(&self, _: bool) {}

    fn set_conditions(&self, _: Thermal, _: Power) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_priority_is_paused_alone() {
        let availability = Availability::Available { needed_bytes: 0 };
        let text = "Slow, and worth it.".to_owned();
        let items = vec!["a".to_owned(), "b".to_owned()];
        let fake = Fake::new(FakeScript { text, rating: 5, items, word_ms: 0, availability, fails: None });
        let augment = || {
            let request = AugmentRequest { count: 2, candidates: 1, seed: 1, deadline_ms: None, max_new_tokens: None };
            fake.augment(request, None, &Stop::default()).map(|done| done.kept.len())
        };
        let write = || fake.write(Priority::Foreground, (0, Part::Text), "a text", None, &Stop::default());
        thread::scope(|scope| {
            fake.pause(Some(Priority::Foreground));
            let waiting = scope.spawn(write);
            assert_eq!(augment(), Ok(2));
            assert!(!waiting.is_finished());
            fake.resume(Some(Priority::Foreground));
            assert_eq!(waiting.join().ok(), Some(Ok(2)));
            fake.pause(Some(Priority::Background));
            let waiting = scope.spawn(augment);
            assert_eq!(write(), Ok(2));
            assert!(!waiting.is_finished());
            fake.resume(None);
            assert_eq!(waiting.join().ok(), Some(Ok(2)));
        });
    }
}

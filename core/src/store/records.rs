//! The data file: records in sealed segments inside a redb database.
//!
//! It has two tables: `meta` (layout in plain text, a sealed root) and `segments` (number -> sealed
//! bytes). A segment holds as many records as fit into a page, padded to a multiple of 4 KiB. This
//! hides the number of records and their exact lengths. The root counts records and holds a digest
//! over the nonce and tag of every segment. A single segment can therefore not be dropped, repeated
//! or rolled back; only the whole file can. redb's copy-on-write trees make a commit atomic.

use std::path::{Path, PathBuf};

use redb::{Database, ReadableDatabase, ReadableTable, Table, TableDefinition};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{LAYOUT, StoreError, first::FirstRecord};
use crate::{
    codec,
    crypto::{self, Key, NONCE, TAG},
    history::Record,
};

const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");
const SEGMENTS: TableDefinition<u64, &[u8]> = TableDefinition::new("segments");
/// Bytes of redb's leaf around a sealed segment, which together fill whole pages.
const LEAF: usize = 96;
const PAGE: usize = 4096;
/// Bytes around the plain text of a segment in its pages.
const AROUND: usize = LEAF + NONCE + TAG;
/// Bytes of records in a segment of one page: without the length prefix and the codec's list
/// overhead.
const ROOM: usize = PAGE - AROUND - 4 - 8;
/// Maximum length of an encoded record, in bytes.
const MAX_RECORD: usize = 1 << 20;

/// The subkey that seals the data file's values, and the salt that binds them to the store.
pub(super) struct Cipher {
    pub(super) key: Key,
    pub(super) salt: [u8; 16],
}

impl Cipher {
    /// Returns the place of a value: store, table and number. It is the associated data of its
    /// seal.
    fn place(&self, table: u8, number: u64) -> Vec<u8> {
        [b"locket data", &self.salt[..], &[table], &number.to_le_bytes()].concat()
    }

    fn seal(&self, table: u8, number: u64, plain: &[u8]) -> Result<Vec<u8>, StoreError> {
        Ok(crypto::seal(&self.key, &self.place(table, number), plain)?)
    }

    fn open(&self, table: u8, number: u64, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        crypto::open(&self.key, &self.place(table, number), sealed).ok_or(StoreError::Forged(number))
    }
}

const ROOT_TABLE: u8 = 0;
const SEGMENT_TABLE: u8 = 1;

/// The secret behind the ids of recipients.
pub(super) type Secret = Zeroizing<[u8; 32]>;

/// The root, which binds the segments together. Encoded it has 56 bytes, and 32 more once there is
/// a secret.
#[derive(Clone, Default, PartialEq)]
struct Root {
    next_id: u64,
    records: u64,
    segments: u64,
    digest: [u8; 32],
    audience: Option<Secret>,
}

impl Root {
    fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(Vec::with_capacity(88));
        [self.next_id, self.records, self.segments].iter().for_each(|n| out.extend_from_slice(&n.to_le_bytes()));
        out.extend_from_slice(&self.digest);
        self.audience.iter().for_each(|secret| out.extend_from_slice(&secret[..]));
        out
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let number = |n: usize| Some(u64::from_le_bytes(*bytes.get(n * 8..)?.first_chunk()?));
        let digest = *bytes.get(24..)?.first_chunk()?;
        let audience = match bytes.len() {
            56 => None,
            88 => Some(Zeroizing::new(*bytes.get(56..)?.first_chunk()?)),
            _ => return None,
        };
        Some(Self { next_id: number(0)?, records: number(1)?, segments: number(2)?, digest, audience })
    }
}

/// Records with their ids, in recording order.
pub(super) type Numbered = Vec<(u64, Record)>;

/// The numbers that outlive a generation: the next id and the secret behind the ids of recipients.
#[derive(Default)]
pub(super) struct Lasting {
    pub(super) next_id: u64,
    pub(super) audience: Option<Secret>,
}

/// The data file of one store.
pub(super) struct Records {
    dir: PathBuf,
    db: Database,
    cipher: Cipher,
}

impl Records {
    /// Initializes the empty database `db` as the data file of a store.
    pub(super) fn create(db: Database, cipher: Cipher, dir: &Path) -> Result<Self, StoreError> {
        let this = Self { dir: dir.to_path_buf(), db, cipher };
        let txn = this.db.begin_write()?;
        {
            let mut meta = txn.open_table(META)?;
            meta.insert("layout", &LAYOUT.to_le_bytes()[..])?;
            let root = Root { digest: Sha256::new().finalize().into(), ..Root::default() };
            meta.insert("root", this.cipher.seal(ROOT_TABLE, 0, &root.encode())?.as_slice())?;
            txn.open_table(SEGMENTS)?;
        }
        txn.commit()?;
        Ok(this)
    }

    /// Opens a data file and checks its layout and root.
    pub(super) fn open(db: Database, cipher: Cipher, dir: &Path) -> Result<Self, StoreError> {
        let this = Self { dir: dir.to_path_buf(), db, cipher };
        let meta = this.db.begin_read()?.open_table(META)?;
        let layout = meta.get("layout")?.and_then(|v| v.value().try_into().ok()).map(u64::from_le_bytes);
        match layout {
            Some(layout) if layout > LAYOUT => return Err(StoreError::Layout(layout)),
            Some(_) => {}
            None => return Err(this.damaged("its data file has no layout")),
        }
        this.root(&meta)?;
        Ok(this)
    }

    fn damaged(&self, what: &'static str) -> StoreError {
        StoreError::Damaged { path: self.dir.clone(), what }
    }

    fn root(&self, meta: &impl ReadableTable<&'static str, &'static [u8]>) -> Result<Root, StoreError> {
        let sealed = meta.get("root")?.ok_or_else(|| self.damaged("its root is missing"))?;
        Root::decode(&self.cipher.open(ROOT_TABLE, 0, sealed.value())?).ok_or_else(|| self.damaged("its root is none"))
    }

    /// Returns the number of records.
    pub(super) fn len(&self) -> Result<u64, StoreError> {
        Ok(self.root(&self.db.begin_read()?.open_table(META)?)?.records)
    }

    /// Returns all records.
    pub(super) fn read(&self) -> Result<Numbered, StoreError> {
        Ok(self.read_whole()?.0)
    }

    /// Returns all records, and the values that the next generation takes over.
    pub(super) fn read_whole(&self) -> Result<(Numbered, Lasting), StoreError> {
        let txn = self.db.begin_read()?;
        let root = self.root(&txn.open_table(META)?)?;
        let segments = txn.open_table(SEGMENTS)?;
        self.check(&root, &segments)?;
        let mut all = Vec::new();
        for number in 0..root.segments {
            all.extend(self.segment(&segments, number)?);
        }
        if all.len() as u64 != root.records {
            return Err(self.damaged("it holds another number of records than its root says"));
        }
        Ok((all, Lasting { next_id: root.next_id, audience: root.audience }))
    }

    /// Returns the secret behind the ids of recipients, if there is one.
    pub(super) fn audience(&self) -> Result<Option<Secret>, StoreError> {
        Ok(self.root(&self.db.begin_read()?.open_table(META)?)?.audience)
    }

    /// Returns the secret behind the ids of recipients, made on first use.
    pub(super) fn make_audience(&self) -> Result<Secret, StoreError> {
        self.change(|root, _| {
            let secret = root.audience.take().map_or_else(|| crypto::random().map(Secret::new), Ok)?;
            root.audience = Some(secret.clone());
            Ok(secret)
        })
    }

    fn segment(&self, segments: &impl ReadableTable<u64, &'static [u8]>, number: u64) -> Result<Numbered, StoreError> {
        let sealed = segments.get(number)?.ok_or_else(|| self.damaged("a segment is missing"))?;
        unpack(&self.cipher.open(SEGMENT_TABLE, number, sealed.value())?)
            .map_err(|source| StoreError::Record { id: number, source })
    }

    /// Checks the number and the digest of all segments against the root.
    fn check(&self, root: &Root, segments: &impl ReadableTable<u64, &'static [u8]>) -> Result<(), StoreError> {
        if digest(segments)? == (root.segments, root.digest) {
            Ok(())
        } else {
            Err(self.damaged("its parts are of different times or stores"))
        }
    }

    /// Appends `records` in one transaction and returns their ids.
    pub(super) fn append(&self, records: &[Record]) -> Result<Vec<u64>, StoreError> {
        self.change(|root, segments| {
            let last = root.segments.checked_sub(1);
            let kept = last.map_or(Ok(Vec::new()), |n| self.segment(segments, n))?;
            root.segments = last.unwrap_or(0);
            self.write(root, segments, kept, records)
        })
    }

    /// Keeps the records that `keep` accepts, with their ids, and appends `added`, in one
    /// transaction. Returns the ids of `added`.
    pub(super) fn replace(&self, keep: impl Fn(&Record) -> bool, added: &[Record]) -> Result<Vec<u64>, StoreError> {
        self.change(|root, segments| {
            let mut kept = Vec::new();
            for number in 0..root.segments {
                kept.extend(self.segment(segments, number)?.into_iter().filter(|(_, record)| keep(record)));
            }
            (root.segments, root.records) = (0, kept.len() as u64);
            self.write(root, segments, kept, added)
        })
    }

    /// Replaces all records by `records` with their ids, and sets the lasting values.
    pub(super) fn fill(&self, records: &Numbered, lasting: &Lasting) -> Result<(), StoreError> {
        self.change(|root, segments| {
            (root.segments, root.records, root.next_id) = (0, records.len() as u64, lasting.next_id);
            root.audience.clone_from(&lasting.audience);
            self.write(root, segments, records.clone(), &[]).map(drop)
        })
    }

    /// Runs `work` in one write transaction that ends with a new root.
    fn change<T>(
        &self,
        work: impl FnOnce(&mut Root, &mut Table<'_, u64, &'static [u8]>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let txn = self.db.begin_write()?;
        let done = {
            let mut meta = txn.open_table(META)?;
            let mut segments = txn.open_table(SEGMENTS)?;
            let mut root = self.root(&meta)?;
            // Without this check, moved or dropped segments would get a valid new root.
            self.check(&root, &segments)?;
            let done = work(&mut root, &mut segments)?;
            segments.retain(|number, _| number < root.segments)?;
            (root.segments, root.digest) = digest(&segments)?;
            meta.insert("root", self.cipher.seal(ROOT_TABLE, 0, &root.encode())?.as_slice())?;
            done
        };
        txn.commit()?;
        Ok(done)
    }

    /// Writes `kept` and then `added` into segments from number `root.segments` on.
    fn write(
        &self,
        root: &mut Root,
        segments: &mut Table<'_, u64, &'static [u8]>,
        kept: Numbered,
        added: &[Record],
    ) -> Result<Vec<u64>, StoreError> {
        let ids = root.next_id..root.next_id + added.len() as u64;
        root.next_id = ids.end;
        root.records += added.len() as u64;
        let numbered = ids.clone().zip(added.iter().cloned());
        let (mut open, mut used): (Numbered, usize) = (Vec::new(), 0);
        for (id, record) in kept.into_iter().chain(numbered) {
            let length = codec::length(&(id, &record)).map_err(|source| StoreError::Record { id, source })?;
            if length > MAX_RECORD {
                return Err(StoreError::Interaction("a text and its titles may have a megabyte together"));
            }
            if !open.is_empty() && used + length > ROOM {
                self.put(root, segments, &open)?;
                (open, used) = (Vec::new(), 0);
            }
            used += length;
            open.push((id, record));
        }
        if !open.is_empty() {
            self.put(root, segments, &open)?;
        }
        Ok(ids.collect())
    }

    fn put(
        &self,
        root: &mut Root,
        segments: &mut Table<'_, u64, &'static [u8]>,
        records: &Numbered,
    ) -> Result<(), StoreError> {
        let number = root.segments;
        let plain = pack(records).map_err(|source| StoreError::Record { id: number, source })?;
        segments.insert(number, self.cipher.seal(SEGMENT_TABLE, number, &plain)?.as_slice())?;
        root.segments += 1;
        Ok(())
    }
}

/// Encodes the records, padded so that the sealed segment fills whole pages.
pub(super) fn pack(records: &Numbered) -> Result<Zeroizing<Vec<u8>>, codec::CodecError> {
    let encoded = Zeroizing::new(codec::encode(records)?);
    let length = (encoded.len() + 4 + AROUND).next_multiple_of(PAGE) - AROUND;
    let mut plain = Zeroizing::new(Vec::with_capacity(length));
    plain.extend_from_slice(&(encoded.len() as u32).to_le_bytes());
    plain.extend_from_slice(&encoded);
    plain.resize(length, 0);
    Ok(plain)
}

/// Undoes [`pack`].
pub(super) fn unpack(plain: &[u8]) -> Result<Numbered, codec::CodecError> {
    let (length, rest) = plain.split_first_chunk::<4>().ok_or(codec::CodecError::Empty)?;
    let encoded = rest.get(..u32::from_le_bytes(*length) as usize).ok_or(codec::CodecError::Empty)?;
    codec::decode(encoded, |old: Vec<(u64, FirstRecord)>| old.into_iter().map(|(id, r)| (id, r.into())).collect())
}

/// Returns the number of segments and a digest over their nonces and tags. Segment numbers must run
/// from 0 without gaps.
fn digest(segments: &impl ReadableTable<u64, &'static [u8]>) -> Result<(u64, [u8; 32]), StoreError> {
    let (mut sum, mut count) = (Sha256::new(), 0);
    for entry in segments.iter()? {
        let (number, sealed) = entry?;
        let sealed = sealed.value();
        let ends = (sealed.first_chunk::<NONCE>(), sealed.last_chunk::<TAG>());
        let (Some(nonce), Some(tag), true) = (ends.0, ends.1, number.value() == count) else {
            return Err(StoreError::Forged(number.value()));
        };
        sum.update(count.to_le_bytes());
        sum.update(nonce);
        sum.update(tag);
        count += 1;
    }
    Ok((count, sum.finalize().into()))
}

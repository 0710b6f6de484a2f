//! Spans that cannot be sent yet, on disk: redacted, readable by their owner alone, each record with a
//! checksum.
//!
//! A process writes segments named `<process>-<number>.spill` beside a lock file `<process>.lock`, which it
//! holds while it lives. What a dead process left is taken over by whoever gets its lock. Nothing is synced:
//! what was written survives the process, which is what can die here; a machine that loses its power may
//! lose the last seconds.

use std::collections::VecDeque;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Where a segment ends and the next one begins, in bytes.
const SEGMENT: u64 = 8 << 20;
/// Begins every record.
const MAGIC: [u8; 4] = *b"kts1";
/// Magic, kind, three free bytes, count, length, checksum.
const HEAD: usize = 20;
/// No record is longer; a longer length is damage.
const LONGEST: u32 = 64 << 20;

/// What a record holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// `ScopeSpans` fields.
    Spans,
    /// A score as JSON.
    Score,
}

/// A record that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RecordId {
    segment: u64,
    offset: u64,
}

/// A record that was read.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) id: RecordId,
    pub(super) content: Content,
    pub(super) count: u32,
    pub(super) body: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The spans are in memory too, on their way.
    Backup,
    /// To be read and sent.
    Waiting,
    /// Read, and on its way.
    Sending,
    Done,
}

#[derive(Debug)]
struct Entry {
    offset: u64,
    length: u32,
    count: u32,
    content: Content,
    state: State,
}

#[derive(Debug)]
struct Segment {
    number: u64,
    path: PathBuf,
    /// `None` until it is needed, for segments that are read and not written.
    file: Option<File>,
    size: u64,
    /// `None`: all of it waits, and the list is made again when it is needed.
    entries: Option<VecDeque<Entry>>,
    count: u64,
    /// The lock of the dead process that it belonged to goes with its last segment.
    is_foreign: bool,
}

impl Segment {
    /// Spans that are not in memory.
    fn waiting(&self) -> u64 {
        let waits = |it: &&Entry| matches!(it.state, State::Waiting | State::Sending);
        match &self.entries {
            Some(list) => list.iter().filter(waits).map(|it| u64::from(it.count)).sum(),
            None => self.count,
        }
    }

    fn entry(&mut self, offset: u64) -> Option<&mut Entry> {
        let entries = self.entries.as_mut()?;
        let place = entries.binary_search_by_key(&offset, |it| it.offset).ok()?;
        entries.get_mut(place)
    }
}

/// What changed in the counts.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Lost {
    /// Spans that made way.
    pub(super) for_room: u64,
    /// Records that could not be read.
    pub(super) damaged: u64,
}

/// The folder.
#[derive(Debug)]
pub(super) struct Spill {
    folder: PathBuf,
    process: String,
    _lock: File,
    /// Oldest first; the last one is written.
    segments: VecDeque<Segment>,
    next_number: u64,
    budget: u64,
    /// Locks of dead processes whose segments are here.
    taken: Vec<(PathBuf, String, File)>,
}

impl Spill {
    /// Opens the folder, makes it when it is not there, and takes over what dead processes left in it.
    pub(super) fn open(folder: &Path, budget: u64) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let about = fs::symlink_metadata(folder)?;
        let refuse = |why: &str| Err(io::Error::new(io::ErrorKind::PermissionDenied, why.to_owned()));
        if !about.is_dir() {
            return refuse("it is not a folder");
        }
        if about.mode() & 0o022 != 0 {
            return refuse("others may write to it: chmod 700");
        }
        let since = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        let process = format!("{since:020}-{}", crate::process::id());
        let path = folder.join(format!("{process}.lock"));
        let lock = private().create_new(true).open(&path)?;
        // Whoever owns the folder owns the file; a folder of somebody else is not for us.
        if lock.metadata()?.uid() != about.uid() {
            let _left = fs::remove_file(&path);
            return refuse("it belongs to somebody else");
        }
        lock.try_lock().map_err(|error| match error {
            TryLockError::Error(error) => error,
            TryLockError::WouldBlock => io::Error::other("its lock is held"),
        })?;
        let mut spill = Self {
            folder: folder.to_owned(),
            process,
            _lock: lock,
            segments: VecDeque::new(),
            next_number: 0,
            budget,
            taken: Vec::new(),
        };
        spill.take_over()?;
        Ok(spill)
    }

    /// Looks for what dead processes left.
    pub(super) fn take_over(&mut self) -> io::Result<()> {
        let mut names: Vec<String> = fs::read_dir(&self.folder)?
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        // The time at the beginning of their names puts the oldest first.
        names.sort_unstable();
        for process in names.iter().filter_map(|name| name.strip_suffix(".lock")) {
            if process == self.process || self.taken.iter().any(|(_, taken, _)| taken == process) {
                continue;
            }
            let path = self.folder.join(format!("{process}.lock"));
            let Ok(lock) = OpenOptions::new().read(true).write(true).open(&path) else { continue };
            if lock.try_lock().is_err() {
                continue;
            }
            let theirs = names.iter().filter(|name| {
                name.strip_suffix(".spill")
                    .and_then(|name| name.rsplit_once('-'))
                    .is_some_and(|it| it.0 == process)
            });
            let mut found = Vec::new();
            for name in theirs {
                let path = self.folder.join(name);
                let size = fs::metadata(&path).map_or(0, |about| about.len());
                if size == 0 {
                    let _gone = fs::remove_file(&path);
                } else {
                    found.push((path, size));
                }
            }
            if found.is_empty() {
                let _gone = fs::remove_file(&path);
                continue;
            }
            for (path, size) in found {
                let number = self.number();
                // In front of what this process writes, behind what was found before.
                let place = self.segments.iter().position(|it| !it.is_foreign).unwrap_or(self.segments.len());
                let mut segment =
                    Segment { number, path, file: None, size, entries: None, count: 0, is_foreign: true };
                segment.count = index(&mut segment).0.iter().map(|it| u64::from(it.count)).sum();
                segment.file = None;
                self.segments.insert(place, segment);
            }
            self.taken.push((path, process.to_owned(), lock));
        }
        Ok(())
    }

    fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    /// Bytes on disk.
    pub(super) fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.size).sum()
    }

    /// Spans that are nowhere else: those that wait, and those of them that are on their way.
    pub(super) fn waiting(&self) -> u64 {
        self.segments.iter().map(Segment::waiting).sum()
    }

    /// Writes a record. `is_backup` says that its spans are in memory too.
    pub(super) fn append(
        &mut self,
        content: Content,
        count: u32,
        parts: &[&[u8]],
        is_backup: bool,
        lost: &mut Lost,
    ) -> io::Result<RecordId> {
        let length = parts.iter().map(|part| part.len()).sum::<usize>();
        let length = u32::try_from(length).ok().filter(|length| *length <= LONGEST);
        let length = length.ok_or_else(|| io::Error::other("the record is too long"))?;
        let room = u64::from(length) + HEAD as u64;
        if room > self.budget {
            return Err(io::Error::other("the record is larger than the spill budget"));
        }
        while self.bytes() + room > self.budget {
            if !self.make_way(lost) {
                return Err(io::Error::other("the spill budget is used up by what is on its way"));
            }
        }
        let needs_new = self
            .segments
            .back()
            .is_none_or(|last| last.is_foreign || last.file.is_none() || last.size >= SEGMENT);
        if needs_new {
            let number = self.number();
            let path = self.folder.join(format!("{}-{number:08}.spill", self.process));
            let file = private().create_new(true).read(true).open(&path)?;
            self.segments.push_back(Segment {
                number,
                path,
                file: Some(file),
                size: 0,
                entries: Some(VecDeque::new()),
                count: 0,
                is_foreign: false,
            });
        }
        let Some(segment) = self.segments.back_mut() else { return Err(io::Error::other("no segment")) };
        let Some(file) = &mut segment.file else { return Err(io::Error::other("the segment is closed")) };
        let mut checksum = crc32fast::Hasher::new();
        parts.iter().for_each(|part| checksum.update(part));
        let mut head = [0_u8; HEAD];
        head[..4].copy_from_slice(&MAGIC);
        head[4] = u8::from(content == Content::Score);
        head[8..12].copy_from_slice(&count.to_le_bytes());
        head[12..16].copy_from_slice(&length.to_le_bytes());
        head[16..].copy_from_slice(&checksum.finalize().to_le_bytes());
        let offset = segment.size;
        let mut write = || -> io::Result<()> {
            file.seek(SeekFrom::Start(offset))?;
            file.write_all(&head)?;
            parts.iter().try_for_each(|part| file.write_all(part))
        };
        if let Err(error) = write() {
            // What is behind the last whole record would end the reading of the segment.
            let _shorter = file.set_len(offset);
            return Err(error);
        }
        segment.size += room;
        segment.count += u64::from(count);
        let state = if is_backup { State::Backup } else { State::Waiting };
        let entry = Entry { offset, length, count, content, state };
        if let Some(entries) = &mut segment.entries {
            entries.push_back(entry);
        }
        Ok(RecordId { segment: segment.number, offset })
    }

    /// Gives up the oldest segment of which nothing is on its way.
    fn make_way(&mut self, lost: &mut Lost) -> bool {
        let is_free = |segment: &Segment| {
            let busy = |it: &Entry| matches!(it.state, State::Backup | State::Sending);
            !segment.entries.as_ref().is_some_and(|list| list.iter().any(busy))
        };
        let Some(place) = self.segments.iter().position(is_free) else { return false };
        let Some(segment) = self.segments.remove(place) else { return false };
        lost.for_room += segment.waiting();
        let _gone = fs::remove_file(&segment.path);
        self.let_go();
        true
    }

    /// The oldest record that waits, marked as being sent.
    pub(super) fn next(&mut self, lost: &mut Lost) -> Option<Waiting> {
        let mut place = 0;
        while place < self.segments.len() {
            let segment = &mut self.segments[place];
            if segment.entries.is_none() {
                let (entries, damaged) = index(segment);
                lost.damaged += u64::from(damaged);
                segment.entries = Some(entries);
            }
            let Some(entries) = &mut segment.entries else { return None };
            let Some(entry) = entries.iter_mut().find(|it| it.state == State::Waiting) else {
                if self.settle(place) {
                    continue;
                }
                place += 1;
                continue;
            };
            entry.state = State::Sending;
            let (offset, length, content, count) = (entry.offset, entry.length, entry.content, entry.count);
            if let Some(body) = read(segment, offset, length) {
                let id = RecordId { segment: segment.number, offset };
                return Some(Waiting { id, content, count, body });
            }
            entry_done(segment, offset);
            lost.damaged += 1;
        }
        None
    }

    /// The server has it.
    pub(super) fn done(&mut self, id: RecordId) {
        let Some(place) = self.segments.iter().position(|it| it.number == id.segment) else { return };
        entry_done(&mut self.segments[place], id.offset);
        self.settle(place);
    }

    /// It is not on its way any more, and waits.
    pub(super) fn wait(&mut self, id: RecordId) {
        let segment = self.segments.iter_mut().find(|it| it.number == id.segment);
        if let Some(entry) = segment.and_then(|segment| segment.entry(id.offset)) {
            entry.state = State::Waiting;
        }
    }

    /// Removes a segment of which everything is done, and forgets the list of one that only waits. Whether
    /// it is gone.
    fn settle(&mut self, place: usize) -> bool {
        let is_last = place + 1 == self.segments.len();
        let segment = &mut self.segments[place];
        let Some(entries) = &mut segment.entries else { return false };
        while entries.front().is_some_and(|it| it.state == State::Done) {
            entries.pop_front();
        }
        if !entries.is_empty() {
            return false;
        }
        if is_last && !segment.is_foreign && segment.size < SEGMENT {
            // The one that is written begins anew.
            if let Some(file) = &segment.file
                && segment.size > 0
                && file.set_len(0).is_ok()
            {
                (segment.size, segment.count) = (0, 0);
            }
            return false;
        }
        let _gone = fs::remove_file(&segment.path);
        self.segments.remove(place);
        self.let_go();
        true
    }

    /// Lets go of the locks of dead processes of which nothing is left.
    fn let_go(&mut self) {
        let segments = &self.segments;
        self.taken.retain(|(path, process, _lock)| {
            let prefix = format!("{process}-");
            let of = |it: &Segment| {
                it.path
                    .file_name()
                    .and_then(|name| name.to_str())
                    .is_some_and(|name| name.starts_with(&prefix))
            };
            let is_left = segments.iter().any(of);
            if !is_left {
                let _gone = fs::remove_file(path);
            }
            is_left
        });
    }

    /// Lists that only wait are long when the server is away for a day: they are read again when needed.
    pub(super) fn forget_lists(&mut self) {
        let last = self.segments.len().saturating_sub(1);
        for segment in self.segments.iter_mut().take(last) {
            let waits = |list: &VecDeque<Entry>| list.iter().all(|it| it.state == State::Waiting);
            if segment.entries.as_ref().is_some_and(waits) {
                segment.count = segment.waiting();
                segment.entries = None;
                segment.file = None;
            }
        }
    }
}

impl Drop for Spill {
    fn drop(&mut self) {
        // Nothing waits: nothing stays behind.
        if self.segments.iter().all(|it| it.size == 0) {
            for segment in &self.segments {
                let _gone = fs::remove_file(&segment.path);
            }
            let _gone = fs::remove_file(self.folder.join(format!("{}.lock", self.process)));
        }
    }
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    options
}

fn entry_done(segment: &mut Segment, offset: u64) {
    if let Some(entry) = segment.entry(offset) {
        entry.state = State::Done;
    }
}

/// The file of a segment, opened when it is not.
fn file(segment: &mut Segment) -> Option<&mut File> {
    if segment.file.is_none() {
        segment.file = OpenOptions::new().read(true).open(&segment.path).ok();
    }
    segment.file.as_mut()
}

/// The records of a segment up to the first that is not whole, and whether there was such a one.
fn index(segment: &mut Segment) -> (VecDeque<Entry>, bool) {
    let size = segment.size;
    let mut entries = VecDeque::new();
    let Some(file) = file(segment) else { return (entries, true) };
    let mut offset = 0;
    while offset < size {
        let mut head = [0_u8; HEAD];
        if file.seek(SeekFrom::Start(offset)).and_then(|_| file.read_exact(&mut head)).is_err()
            || head[..4] != MAGIC
        {
            return (entries, true);
        }
        let word = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let (count, length) = (word(8), word(12));
        let next = offset + HEAD as u64 + u64::from(length);
        if length > LONGEST || next > size {
            return (entries, true);
        }
        let content = if head[4] == 1 { Content::Score } else { Content::Spans };
        entries.push_back(Entry { offset, length, count, content, state: State::Waiting });
        offset = next;
    }
    (entries, false)
}

/// The body of a record, when it is what was written.
fn read(segment: &mut Segment, offset: u64, length: u32) -> Option<Vec<u8>> {
    let file = file(segment)?;
    let mut head = [0_u8; HEAD];
    let mut body = vec![0; length as usize];
    file.seek(SeekFrom::Start(offset)).ok()?;
    file.read_exact(&mut head).ok()?;
    file.read_exact(&mut body).ok()?;
    let checksum = u32::from_le_bytes([head[16], head[17], head[18], head[19]]);
    (crc32fast::hash(&body) == checksum).then_some(body)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn open(folder: &Path, budget: u64) -> Spill {
        Spill::open(folder, budget).unwrap()
    }

    fn put(spill: &mut Spill, body: &[u8]) -> RecordId {
        spill.append(Content::Spans, 1, &[body], false, &mut Lost::default()).unwrap()
    }

    fn all(spill: &mut Spill) -> (Vec<Vec<u8>>, Lost) {
        let (mut bodies, mut lost) = (Vec::new(), Lost::default());
        while let Some(record) = spill.next(&mut lost) {
            spill.done(record.id);
            bodies.push(record.body);
        }
        (bodies, lost)
    }

    fn files(folder: &Path) -> Vec<PathBuf> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    #[test]
    fn records_come_back_in_their_order_and_leave_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("spill");
        let mut spill = open(&folder, 1 << 30);
        let body = |number: u32| vec![number as u8; 100_000];
        (0..200).for_each(|number| {
            put(&mut spill, &body(number));
        });
        assert!(spill.segments.len() > 2 && spill.waiting() == 200);
        for path in files(&folder) {
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{path:?}");
        }
        spill.forget_lists();
        let (bodies, lost) = all(&mut spill);
        assert_eq!(bodies, (0..200).map(body).collect::<Vec<_>>());
        assert_eq!((lost, spill.bytes(), spill.waiting()), (Lost::default(), 0, 0));
        drop(spill);
        assert_eq!(files(&folder), Vec::<PathBuf>::new());
    }

    #[test]
    fn the_next_process_takes_over_and_a_living_one_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("spill");
        let mut first = open(&folder, 1 << 30);
        put(&mut first, b"one");
        let backup = first.append(Content::Score, 1, &[b"t", b"wo"], true, &mut Lost::default()).unwrap();
        let mut other = open(&folder, 1 << 30);
        assert_eq!(other.waiting(), 0, "the first one lives");
        // A backup is not sent twice by the one who has it in memory.
        let mut lost = Lost::default();
        let record = first.next(&mut lost).unwrap();
        assert_eq!((record.body.as_slice(), first.next(&mut lost).is_none()), (&b"one"[..], true));
        first.wait(record.id);
        first.wait(backup);
        drop(first);
        other.take_over().unwrap();
        assert_eq!(all(&mut other).0, [b"one".to_vec(), b"two".to_vec()]);
        drop(other);
        assert_eq!(files(&folder), Vec::<PathBuf>::new());
    }

    #[test]
    fn a_torn_end_and_a_changed_byte_cost_their_record_alone() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("spill");
        let mut spill = open(&folder, 1 << 30);
        for body in ["aaaa", "bbbb", "cccc"] {
            put(&mut spill, body.as_bytes());
        }
        let path = spill.segments[0].path.clone();
        drop(spill);
        let mut bytes = fs::read(&path).unwrap();
        bytes[HEAD + 4 + HEAD] ^= 1;
        bytes.truncate(bytes.len() - 2);
        fs::write(&path, bytes).unwrap();
        let mut next = open(&folder, 1 << 30);
        let (bodies, lost) = all(&mut next);
        assert_eq!((bodies, lost), (vec![b"aaaa".to_vec()], Lost { for_room: 0, damaged: 2 }));
        drop(next);
        assert_eq!(files(&folder), Vec::<PathBuf>::new(), "damage is not met again and again");
    }

    #[test]
    fn the_oldest_make_way_and_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let mut spill = open(&folder.path().join("spill"), 3 * SEGMENT);
        let mut lost = Lost::default();
        let body = vec![7; 1 << 20];
        for _ in 0..60 {
            spill.append(Content::Spans, 10, &[&body], false, &mut lost).unwrap();
            assert!(spill.bytes() <= 3 * SEGMENT);
        }
        let (bodies, _) = all(&mut spill);
        assert_eq!(bodies.len() as u64 * 10 + lost.for_room, 600);
        assert!(lost.for_room >= 300, "{lost:?}");
        let mut small = open(&folder.path().join("small"), 100);
        assert!(small.append(Content::Spans, 1, &[&body], false, &mut lost).is_err());
    }

    #[test]
    fn a_folder_of_others_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let error = Spill::open(folder.path(), 1).unwrap_err().to_string();
        assert!(error.contains("chmod 700"), "{error}");
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(Spill::open(&file, 1).is_err());
    }
}

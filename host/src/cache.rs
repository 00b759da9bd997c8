//! Compiled components on disk, so that the next start takes milliseconds.
//!
//! A file is named by what went in (the component's bytes, the engine's version and settings) and opens with
//! the digest of what it holds. One that does not match is compiled anew.

use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

const MAGIC: &[u8] = b"docket compiled component 1\n";
const DIGEST: usize = 32;

/// A folder of compiled components that only its owner can reach.
#[derive(Debug)]
pub struct Cache {
    folder: PathBuf,
    settings: u64,
}

impl Cache {
    /// Opens the folder, and makes it if there is none. A folder that others can write to, or that belongs to
    /// someone else, is refused: what is in it is run as native code.
    pub fn open(folder: &Path, engine: &Engine) -> std::io::Result<Self> {
        if !folder.exists() {
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)?;
        }
        let metadata = std::fs::metadata(folder)?;
        if !metadata.is_dir() || metadata.uid() != rustix::process::geteuid().as_raw() {
            return Err(std::io::Error::other("it is not a folder of this user"));
        }
        if metadata.mode() & 0o077 != 0 {
            std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))?;
        }
        let mut hasher = std::hash::DefaultHasher::new();
        std::hash::Hash::hash(&engine.precompile_compatibility_hash(), &mut hasher);
        Ok(Self {
            folder: folder.to_owned(),
            settings: std::hash::Hasher::finish(&hasher),
        })
    }

    fn path(&self, wasm: &[u8]) -> PathBuf {
        let digest = Sha256::digest(wasm);
        let name: String = digest
            .iter()
            .take(16)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        self.folder
            .join(format!("{name}-{:016x}.compiled", self.settings))
    }

    /// The compiled form of these bytes, if it is there and whole.
    pub fn get(&self, engine: &Engine, wasm: &[u8]) -> Option<Component> {
        let file = std::fs::read(self.path(wasm)).ok()?;
        let body = file.strip_prefix(MAGIC)?;
        let (digest, compiled) = body.split_at_checked(DIGEST)?;
        if Sha256::digest(compiled).as_slice() != digest {
            return None;
        }
        #[expect(
            unsafe_code,
            reason = "wasmtime runs what it deserializes. The bytes are those that `put` wrote: the folder is \
                      this user's alone, the digest holds, and wasmtime itself checks version and settings."
        )]
        // SAFETY: as above.
        unsafe {
            Component::deserialize(engine, compiled).ok()
        }
    }

    /// Keeps the compiled form of these bytes.
    pub fn put(&self, wasm: &[u8], component: &Component) -> std::io::Result<()> {
        let compiled = component.serialize().map_err(std::io::Error::other)?;
        // A new file of mode 0600, renamed when it is whole: a reader sees all of it or none.
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        file.write_all(MAGIC)?;
        file.write_all(Sha256::digest(&compiled).as_slice())?;
        file.write_all(&compiled)?;
        file.persist(self.path(wasm)).map_err(|error| error.error)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WASM: &[u8] = b"\0asm\x0d\0\x01\0";

    fn only_file(folder: &Path) -> PathBuf {
        let mut files: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        assert_eq!(files.len(), 1, "{files:?}");
        files.remove(0)
    }

    #[test]
    fn what_was_put_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("cache");
        let engine = Engine::default();
        let cache = Cache::open(&folder, &engine).unwrap();
        assert!(cache.get(&engine, WASM).is_none());
        cache
            .put(WASM, &Component::new(&engine, WASM).unwrap())
            .unwrap();
        assert!(cache.get(&engine, WASM).is_some());
        assert!(cache.get(&engine, b"something else").is_none());
        assert_eq!(std::fs::metadata(&folder).unwrap().mode() & 0o777, 0o700);
        assert_eq!(
            std::fs::metadata(only_file(&folder)).unwrap().mode() & 0o777,
            0o600
        );
    }

    #[test]
    fn a_damaged_file_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let engine = Engine::default();
        let cache = Cache::open(folder.path(), &engine).unwrap();
        cache
            .put(WASM, &Component::new(&engine, WASM).unwrap())
            .unwrap();
        let path = only_file(folder.path());
        let whole = std::fs::read(&path).unwrap();
        for place in [0, MAGIC.len(), MAGIC.len() + DIGEST, whole.len() - 1] {
            let mut damaged = whole.clone();
            damaged[place] ^= 1;
            std::fs::write(&path, damaged).unwrap();
            assert!(cache.get(&engine, WASM).is_none(), "byte {place}");
        }
        for length in [0, 5, MAGIC.len() + 3, whole.len() - 1] {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert!(cache.get(&engine, WASM).is_none(), "length {length}");
        }
        std::fs::write(&path, &whole).unwrap();
        assert!(cache.get(&engine, WASM).is_some());
    }

    #[test]
    fn another_engine_uses_another_file() {
        let folder = tempfile::tempdir().unwrap();
        let engine = Engine::default();
        let cache = Cache::open(folder.path(), &engine).unwrap();
        cache
            .put(WASM, &Component::new(&engine, WASM).unwrap())
            .unwrap();
        let mut config = wasmtime::Config::new();
        config.epoch_interruption(true);
        let other = Engine::new(&config).unwrap();
        let cache = Cache::open(folder.path(), &other).unwrap();
        assert!(cache.get(&other, WASM).is_none());
    }
}

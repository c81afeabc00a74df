//! Names and passwords.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use argon2::Argon2;
use argon2::password_hash::PasswordVerifier;
use argon2::password_hash::phc::PasswordHash;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::Utc;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use uuid::Uuid;

use super::reason::Reason;
use super::remembered::{Fingerprint, Remembered};
use super::watched::{Reloads, Watched};
use super::{Basic, Caller, claims};

/// How many may wait for each password that is being hashed.
const WAITING: usize = 16;

/// How long anybody waits; a request's own deadline mostly comes first.
const WITHIN: Duration = Duration::from_secs(10);

/// How many users are remembered.
const REMEMBERED: usize = 10_000;

/// The longest password, in bytes.
const LONGEST: usize = 1024;

/// Checks passwords.
#[derive(Debug)]
pub(super) struct Passwords {
    users: Arc<Watched<Users>>,
    remembered: Remembered,
    /// In seconds.
    remember_for: i64,
    /// Makes the hashes under which users are remembered useless to anybody else.
    salt: Uuid,
    waiting: Semaphore,
    hashing: Semaphore,
}

/// The users of a file.
pub(super) struct Users {
    by_name: HashMap<String, User>,
    /// The hashes again, for those who are no users: checking theirs must take as long.
    decoys: Vec<Arc<PasswordHash>>,
}

struct User {
    hash: Arc<PasswordHash>,
    caller: Arc<Caller>,
}

/// A name and a password that were presented. Its `Debug` is left out on purpose.
pub(super) struct Presented {
    name: String,
    password: String,
}

impl Presented {
    /// What stands after `Basic ` in the header.
    pub(super) fn read(text: &str) -> Result<Self, Reason> {
        let decoded = STANDARD.decode(text.trim()).map_err(|_| Reason::Malformed)?;
        let decoded = String::from_utf8(decoded).map_err(|_| Reason::Malformed)?;
        let (name, password) = decoded.split_once(':').ok_or(Reason::Malformed)?;
        if password.len() > LONGEST {
            return Err(Reason::Oversized);
        }
        Ok(Self { name: name.to_owned(), password: password.to_owned() })
    }
}

impl Passwords {
    /// Reads the users. `roles` are those there are.
    pub(super) fn open(settings: &Basic, roles: &[String], counts: &Arc<Reloads>) -> Result<Self, String> {
        let roles = roles.to_vec();
        let users = Watched::open(&settings.file, Box::new(move |text| Users::read(text, &roles)), counts)?;
        Ok(Self {
            users: Arc::new(users),
            remembered: Remembered::new(REMEMBERED),
            remember_for: i64::try_from(settings.remember_for.get().as_secs()).unwrap_or(0),
            salt: Uuid::new_v4(),
            waiting: Semaphore::new(settings.hashing.saturating_mul(WAITING).min(Semaphore::MAX_PERMITS)),
            hashing: Semaphore::new(settings.hashing.min(Semaphore::MAX_PERMITS)),
        })
    }

    pub(super) fn file(&self) -> Arc<Watched<Users>> {
        Arc::clone(&self.users)
    }

    /// Who that is, if they were here a moment ago.
    pub(super) fn remembered(&self, presented: &Presented) -> Option<Arc<Caller>> {
        self.remembered.get(&self.fingerprint(presented), self.users.generation(), Utc::now().timestamp())
    }

    /// Who that is. It takes a while, and as long for a name that nobody has.
    pub(super) async fn check(&self, presented: Presented) -> Result<Arc<Caller>, Reason> {
        let _place = self.waiting.try_acquire().map_err(|_| Reason::Unavailable)?;
        let turn = timeout(WITHIN, self.hashing.acquire()).await.map_err(|_| Reason::Unavailable)?;
        let _turn = turn.map_err(|_| Reason::Unavailable)?;
        // Others with the same password may have been let in while this one waited.
        if let Some(caller) = self.remembered(&presented) {
            return Ok(caller);
        }
        let (generation, users) = self.users.current();
        let fingerprint = self.fingerprint(&presented);
        let checked = spawn_blocking(move || users.check(&presented)).await;
        let caller = checked.map_err(|_| Reason::Unavailable)?.ok_or(Reason::WrongPassword)?;
        let until = Utc::now().timestamp().saturating_add(self.remember_for);
        self.remembered.put(fingerprint, &caller, generation, i64::MIN..until);
        Ok(caller)
    }

    fn fingerprint(&self, presented: &Presented) -> Fingerprint {
        Fingerprint::of(&[self.salt.as_bytes(), presented.name.as_bytes(), presented.password.as_bytes()])
    }
}

impl Users {
    /// Reads `name:hash[:role,role[:tenant]]` from each line. The error names the line and shows nothing of it.
    fn read(text: &[u8], roles: &[String]) -> Result<Self, String> {
        let text = std::str::from_utf8(text).map_err(|_| "is not text")?;
        let mut by_name = HashMap::new();
        let lines = text.lines().map(str::trim).enumerate();
        for (number, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
            let wrong = |problem: &str| format!("line {}: {problem}", number + 1);
            let (name, user) = User::read(line, roles).map_err(|problem| wrong(&problem))?;
            if by_name.insert(name, user).is_some() {
                return Err(wrong("the user is there twice"));
            }
        }
        if by_name.is_empty() {
            return Err("has no users".to_owned());
        }
        let decoys = by_name.values().map(|user: &User| Arc::clone(&user.hash)).collect();
        Ok(Self { by_name, decoys })
    }

    fn check(&self, presented: &Presented) -> Option<Arc<Caller>> {
        let user = self.by_name.get(&presented.name);
        // The same name always meets the same hash, so that its time does not give it away among hashes of different cost.
        let decoy = presented.name.bytes().fold(7_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        let hash = user.map_or_else(|| &self.decoys[decoy % self.decoys.len()], |user| &user.hash);
        let is_right = Argon2::default().verify_password(presented.password.as_bytes(), &**hash).is_ok();
        user.filter(|_| is_right).map(|user| Arc::clone(&user.caller))
    }
}

impl User {
    fn read(line: &str, roles: &[String]) -> Result<(String, Self), String> {
        let parts: Vec<&str> = line.split(':').collect();
        let [name, hash, more @ ..] = parts.as_slice() else {
            return Err("is not `name:hash`, `name:hash:role,role` or `name:hash:role,role:tenant`".to_owned());
        };
        if more.len() > 2 {
            return Err("has more than four parts".to_owned());
        }
        if !claims::is_user(name) {
            return Err("the name is empty, longer than 256 bytes or holds a control character".to_owned());
        }
        let is_argon2 = |hash: &PasswordHash| hash.algorithm.as_str().starts_with("argon2") && hash.hash.is_some();
        let hash = PasswordHash::new(hash).ok().filter(is_argon2).ok_or("the hash is not one of argon2 in PHC form")?;
        let mut caller = Caller::new(*name);
        for role in more.first().into_iter().flat_map(|roles| roles.split(',')).map(str::trim).filter(|r| !r.is_empty())
        {
            if !roles.iter().any(|known| known == role) {
                return Err(format!("there is no role `{role}`"));
            }
            caller = caller.role(role);
        }
        if let Some(tenant) = more.get(1).filter(|tenant| !tenant.is_empty()) {
            if !claims::is_tenant(tenant) {
                return Err("the tenant is longer than 128 bytes or holds a control character".to_owned());
            }
            caller = caller.tenant(*tenant);
        }
        Ok(((*name).to_owned(), Self { hash: Arc::new(hash), caller: Arc::new(caller) }))
    }
}

/// How many, and nothing else.
impl std::fmt::Debug for Users {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Users({})", self.by_name.len())
    }
}

#[cfg(test)]
mod tests {
    use argon2::Params;
    use argon2::password_hash::PasswordHasher;

    use super::*;

    fn hash(password: &str) -> String {
        let quick = Argon2::from(Params::new(8, 1, 1, None).unwrap());
        quick.hash_password_with_salt(password.as_bytes(), b"a salt for tests").unwrap().to_string()
    }

    fn presented(name: &str, password: &str) -> Presented {
        Presented::read(&STANDARD.encode(format!("{name}:{password}"))).unwrap()
    }

    #[test]
    fn a_user_is_let_in_with_the_right_password_only() {
        let text = format!("# people\n\nmia:{}:clerk, lead:north\nbo:{}\n", hash("right: yes"), hash("b"));
        let users = Users::read(text.as_bytes(), &["clerk".to_owned(), "lead".to_owned()]).unwrap();
        let mia = users.check(&presented("mia", "right: yes")).unwrap();
        assert_eq!((mia.user(), mia.tenant_id()), ("mia", Some("north")));
        assert!(mia.has_role("clerk") && mia.has_role("lead"));
        assert!(users.check(&presented("bo", "b")).is_some());
        for (name, password) in [("mia", "wrong"), ("mia", ""), ("nobody", "b"), ("", "b"), ("bo", "right: yes")] {
            assert!(users.check(&presented(name, password)).is_none(), "{name}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said_without_its_content() {
        let good = hash("secret");
        for (text, problem) in [
            (String::new(), "has no users"),
            ("secret".to_owned(), "line 1: is not `name:hash`"),
            (format!("\n:{good}"), "line 2: the name is empty"),
            ("mia:secret".to_owned(), "line 1: the hash is not one of argon2"),
            ("mia:$2y$05$secretsecretsecret".to_owned(), "line 1: the hash is not one of argon2"),
            (format!("mia:{good}:ghost"), "line 1: there is no role `ghost`"),
            (format!("mia:{good}\nmia:{good}"), "line 2: the user is there twice"),
            (format!("mia:{good}:::x"), "line 1: has more than four parts"),
        ] {
            let told = Users::read(text.as_bytes(), &[]).unwrap_err();
            assert!(told.starts_with(problem), "{told}");
            assert!(!told.contains("secret") && !told.contains("argon2id"), "{told}");
        }
    }

    #[test]
    fn what_is_presented_must_be_a_name_and_a_password() {
        for text in ["", "!", &STANDARD.encode("no colon"), &STANDARD.encode(b"\xff:\xff")] {
            assert!(matches!(Presented::read(text), Err(Reason::Malformed)), "{text}");
        }
        let long = STANDARD.encode(format!("mia:{}", "x".repeat(1025)));
        assert!(matches!(Presented::read(&long), Err(Reason::Oversized)));
    }

    #[tokio::test]
    async fn a_password_is_hashed_once_and_too_many_at_a_time_are_turned_away() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("users");
        std::fs::write(&file, format!("mia:{}", hash("right"))).unwrap();
        let passwords = Passwords::open(&Basic::new(&file).hashing(1), &[], &Arc::default()).unwrap();
        assert!(passwords.remembered(&presented("mia", "right")).is_none());
        assert!(passwords.check(presented("mia", "right")).await.is_ok());
        assert!(passwords.remembered(&presented("mia", "right")).is_some());
        assert_eq!(passwords.check(presented("mia", "wrong")).await, Err(Reason::WrongPassword));
        assert!(passwords.remembered(&presented("mia", "wrong")).is_none());
        let _all = passwords.waiting.acquire_many(16).await.unwrap();
        assert_eq!(passwords.check(presented("mia", "other")).await, Err(Reason::Unavailable));
    }
}

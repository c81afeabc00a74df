//! Who we are, in the form the server's greeting asks for. Files are read anew at every connect, so that
//! credentials can be renewed in place.

use async_nats::{Auth, AuthError};
use nkeys::{KeyPair, KeyPairType};

use super::config::{NatsConfig, Secret, UrlCredentials};

/// Answers the server's greeting, which holds a `nonce` for those who sign.
pub(crate) async fn answer(config: &NatsConfig, nonce: &[u8]) -> Result<Auth, AuthError> {
    let mut auth = Auth::new();
    if let Some(user) = &config.user {
        auth.username = Some(user.clone());
        auth.password = config.password.as_ref().map(|password| password.reveal().to_owned());
    } else if let Some(token) = &config.token {
        auth.token = Some(token.reveal().to_owned());
    } else if let Some((jwt, key)) = key_of(config).await.map_err(AuthError::new)? {
        auth.signature = Some(key.sign(nonce).map_err(|_| AuthError::new("the NKey cannot sign"))?);
        match jwt {
            Some(jwt) => auth.jwt = Some(jwt.reveal().to_owned()),
            None => auth.nkey = Some(key.public_key()),
        }
    } else if let Some(credentials) = config.servers.iter().find_map(super::config::ServerUrl::credentials) {
        match credentials {
            UrlCredentials::Token(token) => auth.token = Some(token.reveal().to_owned()),
            UrlCredentials::User { user, password } => {
                auth.username = Some(user);
                auth.password = Some(password.reveal().to_owned());
            }
        }
    }
    Ok(auth)
}

/// The key to sign with and the JWT to show, when that is how we sign in.
async fn key_of(config: &NatsConfig) -> Result<Option<(Option<Secret>, KeyPair)>, String> {
    if let Some(path) = &config.credentials_file {
        let (jwt, key) = parse(&read(path).await?).map_err(|reason| format!("{}: {reason}", path.display()))?;
        return Ok(Some((Some(jwt), key)));
    }
    let key = if let Some(seed) = &config.nkey_seed {
        key_pair(seed.reveal())?
    } else if let Some(path) = &config.nkey_seed_file {
        let text = read(path).await?;
        seed_in(&text).and_then(key_pair).map_err(|reason| format!("{}: {reason}", path.display()))?
    } else {
        return Ok(None);
    };
    Ok(Some((config.user_jwt.clone(), key)))
}

async fn read(path: &std::path::Path) -> Result<String, String> {
    tokio::fs::read_to_string(path).await.map_err(|error| format!("{}: cannot be read: {error}", path.display()))
}

/// The JWT and the key of a credentials file.
pub(crate) fn parse(text: &str) -> Result<(Secret, KeyPair), String> {
    let jwt = block(text, "NATS USER JWT").ok_or("holds no user JWT between the usual BEGIN and END lines")?;
    let seed = block(text, "USER NKEY SEED").ok_or("holds no NKey seed between the usual BEGIN and END lines")?;
    Ok((Secret::new(jwt), key_pair(seed)?))
}

/// The seed in an NKey file: the seed alone, among comments, or between the BEGIN and END lines of a credentials file.
pub(crate) fn seed_in(text: &str) -> Result<&str, String> {
    let line = block(text, "USER NKEY SEED").or_else(|| text.lines().map(str::trim).find(|line| line.starts_with('S')));
    let seed = line.ok_or("holds no NKey seed")?;
    check_seed(seed)?;
    Ok(seed)
}

pub(crate) fn check_seed(seed: &str) -> Result<(), String> {
    key_pair(seed).map(drop)
}

fn key_pair(seed: &str) -> Result<KeyPair, String> {
    let key = KeyPair::from_seed(seed).map_err(|_| "is not the seed of an NKey (a user's starts with SU)")?;
    match key.key_pair_type() {
        KeyPairType::User => Ok(key),
        other => Err(format!("is the seed of an NKey of type {other:?}; a user's starts with SU")),
    }
}

/// The line after `-----BEGIN {what}-----`.
fn block<'a>(text: &'a str, what: &str) -> Option<&'a str> {
    let mut lines = text
        .lines()
        .map(str::trim)
        .skip_while(|line| !(line.starts_with("--") && line.contains("BEGIN") && line.contains(what)));
    lines.next()?;
    lines.find(|line| !line.is_empty()).filter(|line| !line.starts_with("--"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seed() -> String {
        KeyPair::new_user().seed().unwrap()
    }

    #[test]
    fn a_credentials_file_is_read_with_all_its_ornaments() {
        let seed = seed();
        let text = format!(
            "-----BEGIN NATS USER JWT-----\r\neyJ0.eyJq.c2ln\r\n------END NATS USER JWT------\r\n\r\n\
             ************************* IMPORTANT *************************\r\nSeeds are secret.\r\n\r\n\
             -----BEGIN USER NKEY SEED-----\r\n{seed}\r\n------END USER NKEY SEED------\r\n"
        );
        let (jwt, key) = parse(&text).unwrap();
        assert_eq!((jwt.reveal(), key.seed().unwrap()), ("eyJ0.eyJq.c2ln", seed));
    }

    #[test]
    fn a_seed_is_found_alone_among_comments_and_in_a_block() {
        let seed = seed();
        for text in [
            seed.clone(),
            format!("# my key\n  {seed}\n"),
            format!("-----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"),
        ] {
            assert_eq!(seed_in(&text).unwrap(), seed);
        }
    }

    #[test]
    fn what_is_not_a_user_seed_is_refused_without_showing_it() {
        let account = KeyPair::new_account().seed().unwrap();
        let broken = seed().replace(|c: char| c.is_ascii_digit(), "A").to_lowercase();
        for text in [account.as_str(), broken.as_str(), "SUCANARY", "", "S"] {
            let error = check_seed(text).unwrap_err();
            assert!(text.is_empty() || text == "S" || !error.contains(text), "{error}");
        }
        assert!(check_seed(&account).unwrap_err().contains("type"));
    }
}

//! The keys that sign access tokens.

use crate::Error;
use crate::administration::{SigningKey, SigningKeyState};
use crate::convert::missing;
use crate::pb::auth as pb;

impl From<SigningKey> for pb::SigningKey {
    fn from(key: SigningKey) -> Self {
        let state = match key.state {
            SigningKeyState::Published => pb::SigningKeyState::Published,
            SigningKeyState::Signing => pb::SigningKeyState::Signing,
            SigningKeyState::Verifying => pb::SigningKeyState::Verifying,
            SigningKeyState::Retired => pb::SigningKeyState::Retired,
        };
        Self {
            kid: key.kid,
            algorithm: key.algorithm,
            state: state.into(),
            created_at: key.created_at,
            signs_from: key.signs_from,
            retired_at: key.retired_at,
        }
    }
}

impl TryFrom<pb::SigningKey> for SigningKey {
    type Error = Error;

    fn try_from(message: pb::SigningKey) -> Result<Self, Error> {
        let state = match pb::SigningKeyState::try_from(message.state) {
            Ok(pb::SigningKeyState::Published) => SigningKeyState::Published,
            Ok(pb::SigningKeyState::Signing) => SigningKeyState::Signing,
            Ok(pb::SigningKeyState::Verifying) => SigningKeyState::Verifying,
            Ok(pb::SigningKeyState::Retired) => SigningKeyState::Retired,
            Ok(pb::SigningKeyState::Unspecified) | Err(_) => return Err(missing("state")),
        };
        Ok(Self {
            kid: message.kid,
            algorithm: message.algorithm,
            state,
            created_at: message.created_at,
            signs_from: message.signs_from,
            retired_at: message.retired_at,
        })
    }
}

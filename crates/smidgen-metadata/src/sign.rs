//! The publisher's half: keys, signatures, and the next version of each role.

mod next;
mod public_pem;
mod secret_key;
mod signer;

pub use next::{Lifetimes, next_root, next_snapshot, next_targets, next_timestamp, signing_time};
pub use public_pem::{public_key_from_pem, public_key_to_pem};
pub use secret_key::SecretKey;
pub use signer::{SignError, Signer, countersign, sign_role, unsigned, valid_signers};

//! The search for a target, or for a build line, through delegated roles: in pre-order, and only as far as it has to go.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Request, Stored, TrustedSet};
use crate::delegations::{Delegated, Delegations, Subject};
use crate::envelope::Signers;
use crate::error::{Authority, VerifyError};
use crate::fields::Malformed;
use crate::key::{KeyId, PublicKey};
use crate::release::{BuildLine, Line};
use crate::role::{RoleKind, RoleName};
use crate::targets::{Target, Targets};
use crate::verified::Verified;

/// A search under way; [`TrustedSet::search`] begins it.
///
/// As long as [`request`](Self::request) names a role, that role is needed: offer a stored copy with
/// [`load_stored`](Self::load_stored), and unless that says [`Stored::Current`], fetch it and pass it to
/// [`update`](Self::update). [`finish`](Self::finish) then has the answer. Roles that the search does not come by are
/// never asked for.
///
/// ```
/// # use smidgen_metadata::{BuildLine, Line, Request, Stored, TrustedSet, Verified, VerifyError};
/// /// `stored` looks into a cache of delegated roles by their names, `fetch` asks the repository.
/// fn find(
///     set: &TrustedSet,
///     line: &BuildLine,
///     stored: impl Fn(&Request) -> Option<Vec<u8>>,
///     fetch: impl Fn(&Request) -> Vec<u8>,
/// ) -> Result<Option<Verified<Line>>, VerifyError> {
///     let mut search = set.search(line)?;
///     while let Some(request) = search.request()? {
///         // A damaged copy is no harm: what is fetched instead is bound by snapshot and delegator all the same.
///         let known = stored(&request).is_some_and(|raw| search.load_stored(&raw) == Ok(Stored::Current));
///         if !known {
///             search.update(&fetch(&request))?;
///         }
///     }
///     search.finish()
/// }
/// ```
///
/// The releases of a build line are one role's, the first in pre-order that lists any of them. Only delegations whose
/// scope covers all target paths of the line lead there ([`Scope::covers_line`](crate::Scope::covers_line)), so the
/// pattern of one must end in `/*/*`, as in `editor/*/*/3f*/*/*`.
#[derive(Clone, Debug)]
pub struct Search<'s, S: Sought> {
    set: &'s TrustedSet,
    sought: S,
    subject: Subject,
    visited: BTreeSet<String>,
    /// Roles to look into, the next one last.
    waiting: Vec<Waiting>,
    /// Bytes that delegated roles may still have.
    len_left: u64,
    found: Option<Verified<S::Found>>,
}

/// A delegation that leads on, and what it takes to verify the role at its end.
#[derive(Clone, Debug)]
struct Waiting {
    name: String,
    delegator: RoleName,
    keys: Arc<BTreeMap<KeyId, PublicKey>>,
    keyids: BTreeSet<KeyId>,
    threshold: u64,
}

/// What can be searched for: a target by its path (`&str`), or the releases of a build line (`&BuildLine`).
pub trait Sought: sealed::Sought {}

impl Sought for &str {}
impl Sought for &BuildLine {}

mod sealed {
    use super::{Malformed, Subject, Targets};

    pub trait Sought {
        /// What the search brings.
        type Found;
        #[doc(hidden)]
        #[allow(private_interfaces, reason = "nobody else can implement it")]
        fn subject(&self) -> Subject;
        #[doc(hidden)]
        fn find(&self, targets: &Targets) -> Result<Option<Self::Found>, Malformed>;
    }
}

impl sealed::Sought for &str {
    type Found = Target;

    #[allow(private_interfaces, reason = "nobody else can implement it")]
    fn subject(&self) -> Subject {
        Subject::path(self)
    }

    fn find(&self, targets: &Targets) -> Result<Option<Target>, Malformed> {
        Ok(targets.targets.get(*self).cloned())
    }
}

impl sealed::Sought for &BuildLine {
    type Found = Line;

    #[allow(private_interfaces, reason = "nobody else can implement it")]
    fn subject(&self) -> Subject {
        Subject::line(self)
    }

    fn find(&self, targets: &Targets) -> Result<Option<Line>, Malformed> {
        Line::read(targets, self)
    }
}

impl<'s, S: Sought> Search<'s, S> {
    /// 5.6.7: a pre-order, depth-first search that begins with targets.
    pub(super) fn begin(set: &'s TrustedSet, sought: S) -> Result<Self, VerifyError> {
        let role = RoleName::from(RoleKind::Targets);
        let needed = "targets come before what they list";
        let targets = set.targets.as_ref().ok_or(VerifyError::OutOfOrder { role: role.clone(), needed })?;
        let mut search = Self {
            set,
            subject: sought.subject(),
            sought,
            visited: BTreeSet::new(),
            waiting: Vec::new(),
            len_left: set.limits.max_searched_len,
            found: None,
        };
        search.look_into(&role, targets)?;
        Ok(search)
    }

    /// The next role that the search needs; `None` at its end.
    ///
    /// # Errors
    /// [`VerifyError::NotListed`] if snapshot does not list the role, [`VerifyError::TooManyRoles`] if the search goes on
    /// after as many roles as one may take.
    pub fn request(&self) -> Result<Option<Request>, VerifyError> {
        let Some(next) = self.waiting.last() else { return Ok(None) };
        let (name, max) = (next.role(), self.set.limits.max_searched_roles);
        // 5.6.7.1: so that nobody who was delegated to can waste time and bandwidth without end. What is not found by
        // then is not known to be absent.
        if u32::try_from(self.visited.len()).is_ok_and(|visited| visited >= max) {
            return Err(VerifyError::TooManyRoles { sought: self.subject.as_str().to_owned(), max });
        }
        let listed = self.set.listed_targets(&name)?;
        Ok(Some(self.set.request(name, listed, self.max_len())))
    }

    /// Offers a stored copy of the role that [`request`](Self::request) names. It is verified against the delegator by
    /// which this search came to it, always: another one may have vouched for it before, with other keys.
    ///
    /// # Errors
    /// [`VerifyError`] if it is damaged; fetch the role then.
    pub fn load_stored(&mut self, raw: &[u8]) -> Result<Stored, VerifyError> {
        let next = self.next()?;
        self.check_len(&next, raw)?;
        let (stored, targets) = self.set.recall_targets(raw, &next.role(), &next.signers())?;
        if let Some(targets) = targets {
            self.step(&next, raw, &targets)?;
        }
        Ok(stored)
    }

    /// Takes the role that [`request`](Self::request) names, as the repository has it.
    ///
    /// # Errors
    /// [`VerifyError`] if it is not the one that snapshot lists, not signed for by the keys that its delegator names, has
    /// expired, or lists the build line in a form that it cannot have. 5.6.7: the search then ends; it must not go on
    /// behind a role that could not be looked into.
    pub fn update(&mut self, raw: &[u8]) -> Result<(), VerifyError> {
        let next = self.next()?;
        self.check_len(&next, raw)?;
        let targets = self.set.verify_targets(raw, &next.role(), &next.signers())?;
        self.step(&next, raw, &targets)
    }

    /// What was found; `None` if nobody who is asked about it lists it.
    ///
    /// # Errors
    /// [`VerifyError::OutOfOrder`] while a role is still needed: what was not searched for is not absent.
    pub fn finish(self) -> Result<Option<Verified<S::Found>>, VerifyError> {
        match self.waiting.last() {
            None => Ok(self.found),
            Some(next) => {
                let needed = "the search goes on as long as it requests roles";
                Err(VerifyError::OutOfOrder { role: next.role(), needed })
            }
        }
    }

    fn next(&self) -> Result<Waiting, VerifyError> {
        self.request()?;
        let needed = "the search has ended and needs no more roles";
        let role = RoleKind::Targets.into();
        self.waiting.last().cloned().ok_or(VerifyError::OutOfOrder { role, needed })
    }

    fn max_len(&self) -> u64 {
        self.set.limits.max_targets_len.min(self.len_left)
    }

    fn check_len(&self, next: &Waiting, raw: &[u8]) -> Result<(), VerifyError> {
        let (found, max) = (len(raw), self.max_len());
        if found > max { Err(VerifyError::LengthExceeded { role: next.role(), found, max }) } else { Ok(()) }
    }

    fn step(&mut self, next: &Waiting, raw: &[u8], targets: &Verified<Targets>) -> Result<(), VerifyError> {
        // 5.6.7.1: visited roles are skipped, so that cycles end.
        let fresh = self.visited.insert(next.name.clone());
        if let Err(error) = self.look_into(&next.role(), targets) {
            if fresh {
                self.visited.remove(&next.name);
            }
            return Err(error);
        }
        self.len_left = self.len_left.saturating_sub(len(raw));
        Ok(())
    }

    /// 5.6.7.1 and 5.6.7.2: either the role lists what is sought, or the delegations that are about it come next, in the
    /// order in which they stand.
    fn look_into(&mut self, role: &RoleName, targets: &Verified<Targets>) -> Result<(), VerifyError> {
        let found = self.sought.find(targets);
        let found = found.map_err(|fault| VerifyError::Malformed { role: role.clone(), fault })?;
        if let Some(found) = found {
            self.found = Some(Verified::vouch(found));
            self.waiting.clear();
            return Ok(());
        }
        // The role itself, which stands last, and every other way to it.
        let visited = &self.visited;
        self.waiting.retain(|waiting| !visited.contains(&waiting.name));
        if let Some(delegations) = &targets.delegations {
            self.descend(role, delegations);
        }
        Ok(())
    }

    fn descend(&mut self, delegator: &RoleName, delegations: &Delegations) {
        let keys = Arc::new(delegations.keys.clone());
        let mut children = Vec::new();
        let mut child = |name: &str, keyids: &BTreeSet<KeyId>, threshold| {
            if !self.visited.contains(name) {
                children.push(Waiting {
                    name: name.to_owned(),
                    delegator: delegator.clone(),
                    keys: Arc::clone(&keys),
                    keyids: keyids.clone(),
                    threshold,
                });
            }
        };
        let mut terminated = false;
        match &delegations.roles {
            Delegated::Roles(roles) => {
                for role in roles.iter().filter(|role| role.scope.is_about(&self.subject)) {
                    child(&role.name, &role.keyids, role.threshold);
                    // 5.6.7.2.1: nobody else has a say about what is delegated so, neither the delegations after this
                    // one nor those that wait further up.
                    terminated = role.terminating;
                    if terminated {
                        break;
                    }
                }
            }
            Delegated::Succinct(roles) => {
                if let Some(name) = roles.role_about(&self.subject) {
                    child(&name, &roles.keyids, roles.threshold);
                    // TAP 15: bins are always terminating.
                    terminated = true;
                }
            }
        }
        if terminated {
            self.waiting.clear();
        }
        children.reverse();
        self.waiting.append(&mut children);
    }
}

impl Waiting {
    fn role(&self) -> RoleName {
        RoleName::Delegated(self.name.clone())
    }

    fn signers(&self) -> Signers<'_> {
        Signers {
            authority: Authority::Delegator(self.delegator.clone()),
            keys: &self.keys,
            keyids: &self.keyids,
            threshold: self.threshold,
        }
    }
}

fn len(raw: &[u8]) -> u64 {
    u64::try_from(raw.len()).unwrap_or(u64::MAX)
}

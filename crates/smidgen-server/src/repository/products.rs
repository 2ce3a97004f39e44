//! Products and build lines as roles: targets delegates each product to a role that delegates each of its build lines to a
//! role of its own.
//!
//! ```text
//! targets            signed offline; the same bytes in every shard
//!   editor           editor/*/*/*/*/*                              which lines this shard has
//!     editor~e4      editor/stable/x86_64-linux/67f4..79e4/*/*     one line: its releases
//! ```
//!
//! So an update fetches the entries of its own line and nobody else's, and a new line touches its own shard alone.

use std::collections::{BTreeMap, BTreeSet};

use smidgen_metadata::{
    BuildLine, Delegated, DelegatedRole, Delegations, KeyId, Name, PublicKey, RoleKind, Scope, Targets,
};

/// Between the name of a product and what tells its lines apart: no product has it in its name.
const MARK: char = '~';
/// Digits of the line id in the name of its role, where that is enough to tell it from others. Every client of the shard
/// fetches the names of all its roles with each snapshot.
const FEWEST_DIGITS: usize = 2;

/// Whether a product can have a role of its own name.
pub(super) fn may_be_product(name: &Name) -> bool {
    RoleKind::ALL.iter().all(|kind| kind.as_str() != name.as_str())
}

/// Whether a role is that of a build line.
pub(crate) fn is_line_role(role: &str) -> bool {
    role.contains(MARK)
}

/// The product that a role belongs to: that of a product itself, or that of one of its lines.
pub(crate) fn product_of(role: &str) -> &str {
    role.split_once(MARK).map_or(role, |(product, _)| product)
}

/// The roles that a role delegates to.
pub(crate) fn delegated_by(role: &Targets) -> &[DelegatedRole] {
    match role.delegations.as_ref().map(|delegations| &delegations.roles) {
        Some(Delegated::Roles(roles)) => roles,
        Some(Delegated::Succinct(_)) | None => &[],
    }
}

/// The delegation to the role `name`.
pub(crate) fn delegation<'a>(delegator: &'a Targets, name: &str) -> Option<&'a DelegatedRole> {
    delegated_by(delegator).iter().find(|role| role.name == name)
}

/// The role of a build line, if its product has one for it.
pub(crate) fn role_of_line<'a>(product: &'a Targets, line: &BuildLine) -> Option<&'a DelegatedRole> {
    let scope = scope_of_line(line);
    delegated_by(product).iter().find(|role| role.scope == scope)
}

/// Who may sign the roles that a role delegates to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Authorised {
    pub(crate) keys: BTreeMap<KeyId, PublicKey>,
    pub(crate) keyids: BTreeSet<KeyId>,
    pub(crate) threshold: u64,
}

impl Authorised {
    /// One key, alone.
    pub(crate) fn one(key: PublicKey) -> Self {
        Self { keyids: BTreeSet::from([key.id()]), keys: BTreeMap::from([(key.id(), key)]), threshold: 1 }
    }

    /// Those who may sign the role `name`.
    pub(crate) fn of(delegator: &Targets, name: &str) -> Option<Self> {
        let role = delegation(delegator, name)?;
        let known = &delegator.delegations.as_ref()?.keys;
        let keys = role.keyids.iter().filter_map(|id| known.get_key_value(id));
        Some(Self {
            keys: keys.map(|(id, key)| (id.clone(), key.clone())).collect(),
            keyids: role.keyids.clone(),
            threshold: role.threshold,
        })
    }
}

/// Targets that delegate nothing yet, but know who will sign the roles of products.
pub(super) fn delegations_to(signers: &Authorised) -> Delegations {
    Delegations {
        keys: signers.keys.clone(),
        roles: Delegated::Roles(Vec::new()),
        unknown: Default::default(),
    }
}

/// Lets `signers` sign the role of a product.
pub(super) fn add_product(targets: &mut Targets, product: &Name, signers: &Authorised) {
    let scope = Scope::Paths(vec![format!("{product}/*/*/*/*/*")]);
    add(targets, product.as_str(), scope, signers);
}

/// Gives a line a role of its own, and says how it is called.
pub(super) fn add_line(product: &mut Targets, line: &BuildLine, signers: &Authorised) -> String {
    let id = line.id().to_string();
    // The last digits: the first ones are those of the shard, and the same for all its lines.
    let name = (FEWEST_DIGITS..=id.len())
        .map(|digits| format!("{}{MARK}{}", line.product, id.get(id.len() - digits..).unwrap_or(&id)))
        .find(|name| delegation(product, name).is_none());
    let name = name.unwrap_or_else(|| format!("{}{MARK}{id}{MARK}{}", line.product, line.platform));
    add(product, &name, scope_of_line(line), signers);
    name
}

fn scope_of_line(line: &BuildLine) -> Scope {
    Scope::Paths(vec![format!("{}*/*", line.target_prefix())])
}

fn add(delegator: &mut Targets, name: &str, scope: Scope, signers: &Authorised) {
    let delegations = delegator.delegations.get_or_insert_with(|| delegations_to(signers));
    delegations.keys.extend(signers.keys.iter().map(|(id, key)| (id.clone(), key.clone())));
    let role = DelegatedRole {
        name: name.to_owned(),
        keyids: signers.keyids.clone(),
        threshold: signers.threshold,
        terminating: true,
        scope,
        unknown: Default::default(),
    };
    match &mut delegations.roles {
        Delegated::Roles(roles) => roles.push(role),
        succinct => *succinct = Delegated::Roles(vec![role]),
    }
}

/// Lets others sign the lines of a product from now on.
pub(super) fn authorise(product: &mut Targets, signers: &Authorised) {
    let Some(delegations) = &mut product.delegations else { return };
    delegations.keys = signers.keys.clone();
    if let Delegated::Roles(roles) = &mut delegations.roles {
        for role in roles {
            (role.keyids, role.threshold) = (signers.keyids.clone(), signers.threshold);
        }
    }
}

#[cfg(test)]
mod tests {
    use smidgen_metadata::Header;
    use smidgen_metadata::sign::{SecretKey, Signer as _};

    use super::*;

    fn empty() -> Targets {
        Targets::new(Header::new(1, "2026-11-23T16:00:00Z".parse().unwrap()))
    }

    #[test]
    fn names_of_lines_are_as_short_as_they_can_be() {
        let signers = Authorised::one(SecretKey::from_seed(&[1; 32]).unwrap().public_key());
        let mut product = empty();
        let mut names = BTreeSet::new();
        for index in 0..600 {
            let plugin = format!("p{index}");
            let line = BuildLine::new("editor", "stable", "x86_64-linux", [&*plugin]).unwrap();
            assert_eq!(role_of_line(&product, &line), None);
            let name = add_line(&mut product, &line, &signers);
            assert_eq!(role_of_line(&product, &line).unwrap().name, name);
            let digits = name.strip_prefix("editor~").unwrap().to_owned();
            assert!(line.id().to_string().ends_with(&digits));
            assert!((2..=4).contains(&digits.len()), "{name}");
            assert!(is_line_role(&name) && product_of(&name) == "editor");
            names.insert(name);
        }
        assert_eq!(names.len(), 600);
    }

    #[test]
    fn a_product_cannot_take_the_name_of_a_role_that_everybody_has() {
        for taken in ["root", "timestamp", "snapshot", "targets"] {
            assert!(!may_be_product(&taken.parse().unwrap()), "{taken}");
        }
        assert!(may_be_product(&"editor".parse().unwrap()));
        assert_eq!(product_of("editor"), "editor");
    }
}

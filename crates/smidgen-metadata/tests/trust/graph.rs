//! Graphs of delegations, published whole, and a searcher that notes which roles it was asked for.

use std::collections::{BTreeMap, BTreeSet};

use smidgen_metadata::canonical::Object;
use smidgen_metadata::sign::{SecretKey, Signer as _, sign_role};
use smidgen_metadata::{
    Delegated, DelegatedRole, Delegations, Hashes, Header, MetaFile, Request, Scope, Search, Sha256, Sought,
    Stored, SuccinctRoles, Target, Targets, TrustedSet, Verified, VerifyError,
};

use crate::follower::Follower;
use crate::publisher::{Publisher, key, start};

/// A repository with delegated roles.
pub(crate) struct Graph {
    pub(crate) publisher: Publisher,
    /// Delegated roles by name.
    pub(crate) roles: BTreeMap<String, Targets>,
    /// What a mirror has of them, by the name of the file.
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    /// Who signs a role; [`delegate_key`] if nothing is said.
    pub(crate) signers: BTreeMap<String, u8>,
}

/// The key of every role that nothing else is said about.
pub(crate) fn delegate_key() -> SecretKey {
    key(90)
}

pub(crate) fn target(content: &[u8]) -> Target {
    Target {
        length: content.len() as u64,
        hashes: Hashes::sha256(Sha256::of(content)),
        custom: None,
        unknown: Object::new(),
    }
}

/// A delegation to a role that [`delegate_key`] signs.
pub(crate) fn to(name: &str, terminating: bool, scope: Scope) -> DelegatedRole {
    DelegatedRole {
        name: name.to_owned(),
        keyids: BTreeSet::from([delegate_key().public_key().id()]),
        threshold: 1,
        terminating,
        scope,
        unknown: Object::new(),
    }
}

pub(crate) fn paths(patterns: &[&str]) -> Scope {
    Scope::Paths(patterns.iter().map(|pattern| (*pattern).to_owned()).collect())
}

pub(crate) fn delegations(roles: Delegated) -> Delegations {
    let key = delegate_key().public_key();
    Delegations { keys: BTreeMap::from([(key.id(), key)]), roles, unknown: Object::new() }
}

pub(crate) fn bins(bit_length: u32) -> SuccinctRoles {
    SuccinctRoles {
        keyids: BTreeSet::from([delegate_key().public_key().id()]),
        threshold: 1,
        bit_length,
        name_prefix: "bin".to_owned(),
        unknown: Object::new(),
    }
}

impl Graph {
    pub(crate) fn new() -> Self {
        Self {
            publisher: Publisher::new("shard-1"),
            roles: BTreeMap::new(),
            files: BTreeMap::new(),
            signers: BTreeMap::new(),
        }
    }

    /// A graph by its edges: `("targets", "A", "*")`, with an exclamation mark after the name of a terminating one.
    pub(crate) fn of(edges: &[(&str, &str, &str)]) -> Self {
        let mut graph = Self::new();
        for (delegator, name, pattern) in edges {
            let (name, terminating) = name.strip_suffix('!').map_or((*name, false), |name| (name, true));
            graph.delegate(delegator, to(name, terminating, paths(&[pattern])));
        }
        graph
    }

    /// The role with this name, which is made if it is new.
    pub(crate) fn role(&mut self, name: &str) -> &mut Targets {
        match name {
            "targets" => &mut self.publisher.targets,
            name => self
                .roles
                .entry(name.to_owned())
                .or_insert_with(|| Targets::new(Header::new(1, start().plus_hours(24 * 90)))),
        }
    }

    pub(crate) fn delegate(&mut self, delegator: &str, role: DelegatedRole) {
        self.role(&role.name);
        let listed =
            self.role(delegator).delegations.get_or_insert_with(|| delegations(Delegated::Roles(vec![])));
        match &mut listed.roles {
            Delegated::Roles(roles) => roles.push(role),
            Delegated::Succinct(_) => panic!("{delegator} has bins"),
        }
    }

    pub(crate) fn list(&mut self, role: &str, path: &str) {
        self.role(role).targets.insert(path.to_owned(), target(path.as_bytes()));
    }

    /// Signs everything and lists it.
    pub(crate) fn publish(&mut self) {
        self.files.clear();
        for (name, role) in &self.roles {
            let signer = key(self.signers.get(name).copied().unwrap_or(90));
            let raw = sign_role(role, &[&signer]).unwrap();
            let listed = MetaFile::of(role.header.version, &raw);
            self.publisher.snapshot.meta.insert(format!("{name}.json"), listed);
            let stem = smidgen_metadata::RoleName::Delegated(name.clone()).file_stem();
            self.files.insert(format!("{}.{stem}.json", role.header.version), raw);
        }
        self.publisher.publish();
    }

    /// A client's trust after a refresh.
    pub(crate) fn follow(&self) -> TrustedSet {
        let mut follower = Follower::new(&self.publisher.mirror.roots[0]);
        follower.refresh(&self.publisher.mirror, self.publisher.now).unwrap()
    }

    pub(crate) fn fetch(&self, request: &Request) -> Vec<u8> {
        self.files.get(&request.name).cloned().unwrap_or_default()
    }

    /// Searches in what was published.
    pub(crate) fn search<S: Sought>(&self, sought: S) -> Searched<S::Found> {
        let set = self.follow();
        walk(set.search(sought).unwrap(), |request| self.fetch(request))
    }
}

/// How a search went.
pub(crate) struct Searched<F> {
    pub(crate) visited: Vec<String>,
    pub(crate) found: Result<Option<Verified<F>>, VerifyError>,
}

/// Feeds a search until it ends.
pub(crate) fn walk<S: Sought>(
    mut search: Search<'_, S>,
    fetch: impl Fn(&Request) -> Vec<u8>,
) -> Searched<S::Found> {
    let mut visited = Vec::new();
    let mut run = || -> Result<(), VerifyError> {
        while let Some(request) = search.request()? {
            visited.push(request.role.as_str().to_owned());
            search.update(&fetch(&request))?;
        }
        Ok(())
    };
    let result = run();
    Searched { visited, found: result.and_then(|()| search.finish()) }
}

/// The state of a stored copy for a search that needs this role next.
pub(crate) fn offer<S: Sought>(search: &mut Search<'_, S>, raw: &[u8]) -> Result<Stored, VerifyError> {
    search.load_stored(raw)
}

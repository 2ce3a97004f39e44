//! A client of the simplest kind: it stores what it trusts and refreshes from a mirror.

use smidgen_metadata::{Changed, Limits, Stored, Timestamp, TrustedSet, VerifyError};

use crate::publisher::Mirror;

/// What a client keeps between refreshes.
#[derive(Clone, Debug)]
pub(crate) struct Follower {
    pub(crate) root: Vec<u8>,
    pub(crate) timestamp: Option<Vec<u8>>,
    pub(crate) snapshot: Option<Vec<u8>>,
    pub(crate) targets: Option<Vec<u8>>,
    pub(crate) repository: Option<String>,
    pub(crate) limits: Limits,
    /// Files fetched by the last refresh.
    pub(crate) fetched: Vec<&'static str>,
}

impl Follower {
    pub(crate) fn new(root: &[u8]) -> Self {
        Self {
            root: root.to_vec(),
            timestamp: None,
            snapshot: None,
            targets: None,
            repository: None,
            limits: Limits::default(),
            fetched: Vec::new(),
        }
    }

    /// One whole refresh in the order of the specification. What was trusted before an error stays stored, as in a client.
    pub(crate) fn refresh(&mut self, mirror: &Mirror, now: Timestamp) -> Result<TrustedSet, VerifyError> {
        self.fetched.clear();
        let mut set = TrustedSet::open(&self.root, now, self.limits)?;
        if let Some(name) = &self.repository {
            set.pin_repository(name)?;
        }
        while let Some(request) = set.root_request() {
            let Some(raw) = mirror.roots.get(request.version as usize - 1) else { break };
            self.fetched.push("root");
            set.update_root(raw)?;
            if set.must_forget_stored() {
                (self.timestamp, self.snapshot) = (None, None);
            }
            self.root.clone_from(raw);
        }
        if let Some(raw) = &self.timestamp
            && set.load_stored_timestamp(raw)? == Stored::Superseded
        {
            (self.timestamp, self.snapshot) = (None, None);
        }
        set.finish_root()?;
        self.fetched.push("timestamp");
        if set.update_timestamp(&mirror.timestamp)? == Changed::Yes {
            self.timestamp = Some(mirror.timestamp.clone());
        }
        self.repository = set.repository().map(str::to_owned);
        let stored = match &self.snapshot {
            Some(raw) => set.load_stored_snapshot(raw)?,
            None => Stored::Superseded,
        };
        if stored != Stored::Current {
            self.fetched.push("snapshot");
            set.update_snapshot(&mirror.snapshot)?;
            self.snapshot = Some(mirror.snapshot.clone());
        }
        let stored = match &self.targets {
            Some(raw) => set.load_stored_targets(raw)?,
            None => Stored::Superseded,
        };
        if stored != Stored::Current {
            self.fetched.push("targets");
            set.update_targets(&mirror.targets)?;
            self.targets = Some(mirror.targets.clone());
        }
        Ok(set)
    }

    /// The code of the error that a refresh must end with; nothing that is stored may change by it but roots.
    pub(crate) fn refused(&mut self, mirror: &Mirror, now: Timestamp) -> &'static str {
        self.refresh(mirror, now).expect_err("the refresh was to be refused").code()
    }
}

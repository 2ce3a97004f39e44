//! Where the bytes of a patch go: what each part of the new file costs, and for what.

/// How often something happened, and what it cost.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Share {
    /// Times.
    pub count: u64,
    /// Bits of the patch, fractions included.
    pub bits: f64,
}

impl Share {
    /// What it cost in bytes.
    #[must_use]
    pub fn bytes(&self) -> f64 {
        self.bits / 8.0
    }

    /// Adds another share.
    pub fn include(&mut self, other: Self) {
        self.count = self.count.saturating_add(other.count);
        self.bits += other.bits;
    }
}

/// What one part of the new file costs, by what is said of it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Costs {
    /// Matches that begin in it: where its bytes come from.
    pub controls: Share,
    /// References whose new value was foreseen. Where one bit says of a whole stretch that what may rest does, its
    /// price stands here, and the references that rest are not counted; [`Account::resting`] has such bits alone.
    pub predicted: Share,
    /// References whose new value was not.
    pub mispredicted: Share,
    /// Bytes of matches that differ for another reason.
    pub differing: Share,
    /// Bytes that no match explains.
    pub extra: Share,
}

impl Costs {
    /// All of it, in bits.
    #[must_use]
    pub fn bits(&self) -> f64 {
        let shares = [self.controls, self.predicted, self.mispredicted, self.differing, self.extra];
        shares.iter().map(|share| share.bits).sum()
    }

    /// Adds what another part costs.
    pub fn include(&mut self, other: &Self) {
        self.controls.include(other.controls);
        self.predicted.include(other.predicted);
        self.mispredicted.include(other.mispredicted);
        self.differing.include(other.differing);
        self.extra.include(other.extra);
    }
}

/// What the references of one class cost.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct ClassCosts {
    /// What such references are.
    pub class: &'static str,
    /// Those whose new value was foreseen.
    pub predicted: Share,
    /// Those whose new value was not.
    pub mispredicted: Share,
}

/// Where the bytes of a patch go. Header and section table are not part of it.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Account {
    /// What belongs to no place of the new file: layouts and regions.
    pub layout: Share,
    /// What each part of the new file costs, in order.
    pub parts: Vec<Costs>,
    /// What references cost, by class; classes without any are left out.
    pub classes: Vec<ClassCosts>,
    /// Stretches of matches of which is said whether what may rest in them does. Such bits are of no class; in the
    /// parts they stand among what is predicted.
    pub resting: Share,
}

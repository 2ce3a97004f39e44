//! `--product`, `--channel`, `--platform`, `--plugin`: how commands name a build line.

use clap::Args;
use smidgen_metadata::{BuildLine, Name};

/// A build line by its parts.
#[derive(Args, Debug)]
#[command(next_help_heading = "Build line")]
pub(crate) struct LineArguments {
    /// What is shipped.
    #[arg(long, value_name = "P")]
    product: Name,
    /// The named sequence of releases.
    #[arg(long, value_name = "C", default_value = "stable")]
    channel: Name,
    /// Architecture and operating system, such as x86_64-linux.
    #[arg(long, value_name = "ARCH-OS")]
    platform: Name,
    /// A plugin of the build; once for each.
    #[arg(long = "plugin", value_name = "NAME")]
    plugins: Vec<Name>,
}

impl LineArguments {
    pub(crate) fn line(&self) -> BuildLine {
        BuildLine {
            product: self.product.clone(),
            channel: self.channel.clone(),
            platform: self.platform.clone(),
            plugins: self.plugins.iter().cloned().collect(),
        }
    }
}

/// The line as people read it: `editor stable x86_64-linux +spell`.
pub(crate) fn label(line: &BuildLine) -> String {
    let plugins: String = line.plugins.iter().map(|name| format!(" +{name}")).collect();
    format!("{} {} {}{plugins}", line.product, line.channel, line.platform)
}

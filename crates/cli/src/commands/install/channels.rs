//! The juliaup channels of installed images.

use std::path::PathBuf;

use sysforge_build::link::which;
use sysforge_publish::install::{Images, Installed, activate};

use super::surroundings;
use crate::failure::Outcome;
use crate::session::Session;

pub(super) async fn link(
    image: &mut Installed,
    channel: &str,
    images: &Images,
    session: &Session,
) -> Outcome {
    let surroundings = surroundings(session, &[]);
    activate::link_channel(image, channel, &juliaup(session), images, &surroundings).await?;
    Ok(())
}

/// Removes the channels of an image that is about to go. One that stays is no reason to keep it.
pub(super) async fn unlink(image: &Installed, session: &Session) {
    let surroundings = surroundings(session, &[]);
    let juliaup = juliaup(session);
    for channel in &image.channels {
        let removed = activate::unlink_channel(image, channel, &juliaup, &surroundings).await;
        if let Err(error) = removed {
            let text = format!("the juliaup channel {channel} stays: {error}");
            let hint = format!("remove it with `juliaup remove {channel}`");
            session.engine.reporter.warn(text, Some(hint));
        }
    }
}

fn juliaup(session: &Session) -> PathBuf {
    let found = which("juliaup", &session.engine.environment);
    found.unwrap_or_else(|| PathBuf::from("juliaup"))
}

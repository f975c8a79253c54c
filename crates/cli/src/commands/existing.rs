//! What a release has already and need not be built again, for `sysforge plan`.

use sysforge_engine::matrix;
use sysforge_plan::matrix::Existing;
use sysforge_plan::text::{Rule as _, Tag};
use sysforge_publish::PublishError;
use sysforge_publish::install::Source;
use sysforge_publish::install::source::is_site;

use crate::args::PlanArgs;
use crate::failure::Failure;
use crate::github::{source_options, variable};
use crate::session::Session;

/// The tag that is released; workflows give an empty one where there is none.
pub(crate) fn tag(args: &PlanArgs) -> Result<Option<&str>, PublishError> {
    let tag = args.tag.as_deref().filter(|tag| !tag.is_empty());
    let tag = tag.map(Tag::name_in);
    match tag {
        Some(name) if Tag::check(name).is_err() => Err(PublishError::BadTag(name.to_owned())),
        _ => Ok(tag),
    }
}

/// The builds of the release that is asked about, public or still a draft, each with the digest of
/// its inputs. A release that does not exist yet has none.
pub(crate) async fn builds(args: &PlanArgs, session: &Session) -> Result<Existing, Failure> {
    let repository = variable(session, "GITHUB_REPOSITORY");
    let source = match (&args.release, tag(args)?, repository) {
        (Some(release), _, _) => Source::parse(release, is_site)?,
        (None, Some(tag), Some(repository)) => Source::github(&repository, Some(tag))?,
        _ => return Ok(Existing::new()),
    };
    matrix::existing(&source, &source_options(session, true)?, &session.engine).await
}

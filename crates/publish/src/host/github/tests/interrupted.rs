//! A run that is dropped, as by Ctrl-C, and what it leaves at the host.

use super::super::lease::LOCK_NAME;
use super::*;

impl Scene {
    fn has_lock(&self) -> bool {
        let releases = self.github.releases();
        let mut names = releases.iter().flat_map(|release| &release.assets);
        names.any(|asset| asset.name == LOCK_NAME)
    }
}

#[tokio::test]
async fn an_interrupted_run_gives_its_lock_back_wherever_it_is_stopped() {
    let mut held = 0;
    for milliseconds in (0..400).step_by(11) {
        let scene = Scene::new(Options {
            latency: Duration::from_millis(5),
            ..Options::default()
        })
        .await;
        let cleanup = Cleanup::default();
        let host = scene.host("writer").with_cleanup(&cleanup);
        let (bundle, policy, silent) = (scene.bundle().await, scene.policy(), Reporter::silent());
        let limit = Duration::from_millis(milliseconds);
        let running = publish(&host, &bundle, &policy, &silent);
        let cut = tokio::time::timeout(limit, running).await;
        held += usize::from(cut.is_err() && scene.has_lock());
        cleanup.finish(Duration::from_secs(10)).await;
        assert!(!scene.has_lock(), "{milliseconds} ms");
        if cut.is_ok() {
            break;
        }
    }
    assert!(held > 0, "no run was stopped while it held the lock");
}

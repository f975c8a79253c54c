//! Launchers and channels of juliaup. This juliaup is a script that stores its channels as files.

use sysforge_plan::Explain;

use super::*;

/// An installed image, and a juliaup.
struct Desk {
    scene: Scene,
    installed: Installed,
    juliaup: PathBuf,
}

impl Desk {
    async fn new() -> Self {
        let scene = Scene::new(b"linux", u64::MAX).await;
        let source = scene.site().await;
        let installed = scene.install(&source, &options(None, None)).await.unwrap();
        let channels = scene.folder.path().join("channels");
        std::fs::create_dir(&channels).unwrap();
        let juliaup = scene.folder.path().join("juliaup");
        let script = format!(
            "#!/bin/sh\n\
             file={}/$2\n\
             case $1 in\n\
             link) [ ! -e $file ] || {{ echo \"$2 is taken\" >&2; exit 1; }}; echo \"$@\" > $file ;;\n\
             remove) [ $2 != main ] || {{ echo 'it is the default' >&2; exit 1; }}; /bin/rm $file ;;\n\
             esac\n",
            channels.display()
        );
        std::fs::write(&juliaup, script).unwrap();
        std::fs::set_permissions(&juliaup, std::fs::Permissions::from_mode(0o755)).unwrap();
        Self {
            scene,
            installed,
            juliaup,
        }
    }

    /// Returns the command that a channel was linked to.
    fn channel(&self, name: &str) -> Option<String> {
        std::fs::read_to_string(self.scene.folder.path().join("channels").join(name)).ok()
    }

    async fn link(&mut self, channel: &str) -> Result<(), InstallError> {
        let quiet = Quiet::new();
        let surroundings = quiet.with(&[]);
        let images = self.scene.images();
        let image = &mut self.installed;
        activate::link_channel(image, channel, &self.juliaup, &images, &surroundings).await
    }

    async fn unlink(&self, channel: &str) -> Result<(), InstallError> {
        let quiet = Quiet::new();
        let surroundings = quiet.with(&[]);
        activate::unlink_channel(&self.installed, channel, &self.juliaup, &surroundings).await
    }
}

#[tokio::test]
async fn a_channel_starts_the_julia_of_the_image_with_the_image() {
    let mut desk = Desk::new().await;
    desk.link("mine").await.unwrap();
    // A channel cannot set variables, so it starts a launcher, which sets them.
    let (folder, image) = (desk.installed.folder(), &desk.installed.image);
    let expected = format!(
        "link mine {} -- --sysimage={}\n",
        folder.join("julia").display(),
        image.display()
    );
    let launcher = std::fs::read_to_string(folder.join("julia")).unwrap();
    assert!(launcher.contains("export JULIA_LOAD_PATH="), "{launcher}");
    assert_eq!(desk.channel("mine"), Some(expected));
    assert_eq!(desk.installed.channels, ["mine"]);
    desk.unlink("mine").await.unwrap();
    assert_eq!(desk.channel("mine"), None);
}

#[tokio::test]
async fn a_channel_of_an_older_image_is_linked_anew() {
    let mut desk = Desk::new().await;
    desk.link("mine").await.unwrap();
    desk.scene.images().note(&desk.installed).unwrap();
    desk.installed.julia = desk.scene.folder.path().join("other-julia");
    desk.link("mine").await.unwrap();
    let launcher = desk.installed.folder().join("julia");
    assert!(desk.channel("mine").unwrap().contains("/julia -- "));
    let launcher = std::fs::read_to_string(launcher).unwrap();
    assert!(launcher.contains("other-julia"), "{launcher}");
    assert_eq!(desk.installed.channels, ["mine"]);
}

#[tokio::test]
async fn a_channel_that_is_not_ours_stays() {
    let mut desk = Desk::new().await;
    let file = desk.scene.folder.path().join("channels/theirs");
    std::fs::write(file, "their own\n").unwrap();
    let error = desk.link("theirs").await.unwrap_err();
    assert!(matches!(error, InstallError::Juliaup(_)), "{error}");
    assert_eq!(error.class().exit_code(), 7);
    let evidence = error.evidence().unwrap();
    assert!(evidence.tail.iter().any(|line| line == "theirs is taken"));
    assert_eq!(desk.channel("theirs").as_deref(), Some("their own\n"));
    assert!(desk.installed.channels.is_empty());
}

#[tokio::test]
async fn a_channel_whose_name_cannot_be_noted_is_not_linked() {
    let mut desk = Desk::new().await;
    for name in ["-x", "a b", "a\nb", "$(id)", ""] {
        let error = desk.link(name).await.unwrap_err();
        assert!(matches!(error, InstallError::Channel(_)), "{error}");
        assert_eq!(error.class().exit_code(), 2);
    }
    assert!(desk.installed.channels.is_empty());
}

#[tokio::test]
async fn a_default_channel_is_not_removed() {
    let mut desk = Desk::new().await;
    desk.link("main").await.unwrap();
    desk.scene.images().note(&desk.installed).unwrap();
    let error = desk.unlink("main").await.unwrap_err();
    assert!(error.hints()[0].contains("`juliaup default release`"));
    // To link it again, it would have to be removed, too.
    let error = desk.link("main").await.unwrap_err();
    let tail = error.evidence().unwrap().tail;
    assert!(tail.iter().any(|line| line == "it is the default"));
    assert!(desk.channel("main").is_some());
}

#[tokio::test]
async fn without_juliaup_no_channel_is_noted() {
    let mut desk = Desk::new().await;
    std::fs::remove_file(&desk.juliaup).unwrap();
    let error = desk.link("mine").await.unwrap_err();
    assert!(error.hints()[0].contains("is juliaup on the search path"));
    assert!(desk.installed.channels.is_empty());
}

#[tokio::test]
async fn a_launcher_goes_with_its_image_and_is_noted_once() {
    let Desk {
        scene,
        mut installed,
        ..
    } = Desk::new().await;
    let bin = scene.folder.path().join("bin");
    let (ours, theirs) = (bin.join("demo"), bin.join("theirs"));
    for path in [&ours, &ours, &theirs] {
        activate::write_launcher(&mut installed, path).unwrap();
    }
    assert_eq!(installed.launchers, [ours.clone(), theirs.clone()]);
    let mode = std::fs::metadata(&ours).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o755);
    // The user has replaced the file since.
    std::fs::write(&theirs, "#!/bin/sh\nexec julia\n").unwrap();
    scene.images().remove(&installed).unwrap();
    assert!(!ours.exists());
    assert!(theirs.exists());
}

#[tokio::test]
async fn a_launcher_replaces_nothing_but_a_launcher() {
    let Desk {
        scene,
        mut installed,
        ..
    } = Desk::new().await;
    let folder = scene.folder.path();
    let (text, link, dangling) = (folder.join("text"), folder.join("link"), folder.join("to"));
    std::fs::write(&text, "mine, not written by `sysforge install`.\n").unwrap();
    std::os::unix::fs::symlink(&text, &link).unwrap();
    std::os::unix::fs::symlink(folder.join("nothing"), &dangling).unwrap();
    for path in [&text, &link, &dangling, Path::new("/dev/null"), folder] {
        let error = activate::write_launcher(&mut installed, path).unwrap_err();
        assert!(matches!(error, InstallError::NotOurs(_)), "{error}");
        let error = integrate::check_target(path);
        let is_marked = [&text, &link].contains(&&path.to_path_buf());
        assert_eq!(error.is_ok(), is_marked, "{error:?}");
    }
    assert!(installed.launchers.is_empty());
    assert!(std::fs::read_to_string(&text).unwrap().starts_with("mine"));
    assert!(link.is_symlink() && dangling.is_symlink());
    let ours = folder.join("ours");
    for _ in 0..2 {
        activate::write_launcher(&mut installed, &ours).unwrap();
    }
}

#[tokio::test]
async fn a_launcher_that_cannot_be_written_is_not_noted() {
    let Desk {
        scene,
        mut installed,
        ..
    } = Desk::new().await;
    let file = scene.folder.path().join("file");
    std::fs::write(&file, "a file").unwrap();
    let error = activate::write_launcher(&mut installed, &file.join("demo")).unwrap_err();
    assert!(
        error.to_string().starts_with("could not access "),
        "{error}"
    );
    assert!(installed.launchers.is_empty());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "a file");
}

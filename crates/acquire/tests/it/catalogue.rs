//! The catalogue over a network that fails, and what of it is used when it does.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use sysforge_acquire::{Error, Proxies};
use sysforge_net::Error as Net;
use sysforge_plan::{Class, Event, Explain};
use sysforge_testkit::archives::tiny_julia;
use sysforge_testkit::mirror_dir::MirrorDir;
use sysforge_testkit::server::{Fault, Server};

use crate::support::{Bench, LINUX, net};

const CATALOGUE: &str = "versions.json";

struct Scene {
    mirror: MirrorDir,
    server: Server,
    bench: Bench,
}

impl Scene {
    fn new() -> Self {
        let mut mirror = MirrorDir::new();
        mirror.publish("1.5.3", LINUX, &tiny_julia("1.5.3", 1000).gz());
        let server = Server::start(mirror.path());
        Self {
            mirror,
            server,
            bench: Bench::new(),
        }
    }

    /// Stalls count after a moment.
    fn impatient(mut self) -> Self {
        self.bench.network.stall_time = Duration::from_millis(500);
        self
    }

    /// How many releases the catalogue has; every look is a new process's.
    async fn look(&self) -> Result<usize, Error> {
        let catalogue = self.bench.acquirer(&self.server.url()).catalogue().await?;
        Ok(catalogue.releases().len())
    }

    /// The file of this kind that is kept of the catalogue.
    fn kept(&self, extension: &str) -> PathBuf {
        let names = self.bench.names_in("catalogue");
        let name = names.iter().find(|name| name.ends_with(extension)).unwrap();
        self.bench.store().root().join("catalogue").join(name)
    }

    fn notes(&self) -> Vec<String> {
        let events = self.bench.events.lock().unwrap();
        let notes = events.iter().filter_map(|event| match event {
            Event::Note { text } => Some(text.clone()),
            _ => None,
        });
        notes.collect()
    }
}

#[tokio::test]
async fn a_catalogue_that_breaks_off_is_fetched_again() {
    for fault in [
        Fault::DropAfter(10),
        Fault::Status(503, vec![("Retry-After", "0".to_owned())]),
        Fault::Close,
    ] {
        let scene = Scene::new();
        scene.server.script(CATALOGUE, [fault.clone()]);
        assert_eq!(scene.look().await.unwrap(), 1, "{fault:?}");
        assert_eq!(scene.server.seen(CATALOGUE).len(), 2, "{fault:?}");
    }
    let scene = Scene::new().impatient();
    scene.server.script(CATALOGUE, [Fault::SilenceAfter(10)]);
    assert_eq!(scene.look().await.unwrap(), 1);
}

#[tokio::test]
async fn a_catalogue_that_never_comes_whole_is_given_up() {
    let mut scene = Scene::new().impatient();
    scene.bench.network.retries.fruitless = 2;
    scene.server.always(CATALOGUE, Fault::SilenceAfter(10));
    let error = scene.look().await.unwrap_err();
    let Net::GaveUp { attempts: 2, last } = net(&error) else {
        panic!("{error:?}");
    };
    assert!(matches!(**last, Net::Stalled { bytes: 10, .. }), "{last:?}");
    assert_eq!(error.class(), Class::Acquire);
    assert!(error.hints()[0].contains("HTTPS_PROXY"));
    // What came by half is not kept.
    assert!(scene.bench.names_in("catalogue").is_empty());
}

#[tokio::test]
async fn a_catalogue_of_absurd_length_is_not_read_to_its_end() {
    let scene = Scene::new();
    let file = scene.mirror.path().join("bin/versions.json");
    let absurd = fs::File::create(file).unwrap();
    absurd.set_len(65 << 20).unwrap();
    let error = scene.look().await.unwrap_err();
    assert!(matches!(net(&error), Net::TooLong { .. }), "{error:?}");
    assert_eq!(scene.server.seen(CATALOGUE).len(), 1);
    assert!(scene.bench.names_in("catalogue").is_empty());
}

#[tokio::test]
async fn a_server_that_says_not_modified_to_who_has_nothing_is_wrong() {
    let scene = Scene::new();
    scene
        .server
        .always(CATALOGUE, Fault::Status(304, Vec::new()));
    let error = scene.look().await.unwrap_err();
    let Net::Status { status, .. } = net(&error) else {
        panic!("{error:?}");
    };
    assert_eq!(status.as_u16(), 304);
}

#[tokio::test]
async fn a_server_that_is_busy_for_long_is_done_without_only_if_there_is_a_catalogue() {
    let scene = Scene::new();
    let tomorrow = || Fault::Status(429, vec![("Retry-After", "86400".to_owned())]);
    scene
        .server
        .script(CATALOGUE, [tomorrow(), Fault::Fine, tomorrow()]);
    let error = scene.look().await.unwrap_err();
    assert!(
        matches!(
            net(&error),
            Net::Busy {
                seconds: 86_400,
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(scene.look().await.unwrap(), 1);
    assert_eq!(scene.look().await.unwrap(), 1);
    let warning = scene.bench.warnings().remove(0);
    assert!(
        warning.contains("asks to come back in 86400 seconds"),
        "{warning}"
    );
    // A refusal is no absence.
    scene
        .server
        .always(CATALOGUE, Fault::Status(403, Vec::new()));
    let error = scene.look().await.unwrap_err();
    assert!(error.hints()[0].contains("USER:PASSWORD"), "{error:?}");
}

#[tokio::test]
async fn a_date_to_come_back_at_is_understood() {
    let at = |date: &str| Fault::Status(503, vec![("Retry-After", date.to_owned())]);
    // It is over, or it is no date.
    for date in ["Wed, 21 Oct 2015 07:28:00 GMT", "soon"] {
        let scene = Scene::new();
        scene.server.script(CATALOGUE, [at(date)]);
        assert_eq!(scene.look().await.unwrap(), 1, "{date}");
    }
    let scene = Scene::new();
    scene
        .server
        .script(CATALOGUE, [at("Tue, 01 Jan 2999 00:00:00 GMT")]);
    let error = scene.look().await.unwrap_err();
    assert!(matches!(net(&error), Net::Busy { .. }), "{error:?}");
}

#[tokio::test]
async fn without_an_entity_tag_the_time_of_the_last_change_is_asked_with() {
    let scene = Scene::new();
    scene.look().await.unwrap();
    let time = "Mon, 06 May 2024 07:08:09 GMT";
    let note = format!(
        r#"{{"url": "{}", "last_modified": "{time}"}}"#,
        scene.server.url()
    );
    fs::write(scene.kept(".note"), note).unwrap();
    scene.look().await.unwrap();
    let last = scene.server.seen(CATALOGUE).pop().unwrap();
    assert_eq!(last.header("if-modified-since"), Some(time));
    assert_eq!(last.header("if-none-match"), None);
}

#[tokio::test]
async fn a_kept_catalogue_that_is_spoilt_is_none() {
    let mut scene = Scene::new();
    scene.look().await.unwrap();
    fs::write(scene.kept(".json"), "{").unwrap();
    // Else the server would say that nothing changed.
    assert_eq!(scene.look().await.unwrap(), 1);
    let last = scene.server.seen(CATALOGUE).pop().unwrap();
    assert_eq!(last.header("if-none-match"), None);

    fs::write(scene.kept(".json"), "{").unwrap();
    scene.bench.network.offline = true;
    let error = scene.look().await.unwrap_err();
    let Error::Offline { what } = &error else {
        panic!("{error:?}");
    };
    let address = format!("the catalogue of {}/bin/versions.json", scene.server.url());
    assert_eq!(*what, address);
    assert_eq!(error.class(), Class::Acquire);
}

#[tokio::test]
async fn a_catalogue_that_is_used_offline_tells_its_age() {
    let mut scene = Scene::new();
    scene.look().await.unwrap();
    scene.bench.network.offline = true;
    let hour = Duration::from_secs(3600);
    for (age, said) in [
        (hour / 6, "as it was 10 minutes ago"),
        (5 * hour, "as it was 5 hours ago"),
        (24 * 30 * hour, "as it was 30 days ago"),
    ] {
        let time = SystemTime::now() - age;
        filetime::set_file_mtime(scene.kept(".json"), time.into()).unwrap();
        assert_eq!(scene.look().await.unwrap(), 1);
        let note = scene.notes().pop().unwrap();
        assert!(
            note.starts_with("offline: using the catalogue of "),
            "{note}"
        );
        assert!(note.ends_with(said), "{note}");
    }
    // A clock that went back.
    let time = SystemTime::now() + 2 * hour;
    filetime::set_file_mtime(scene.kept(".json"), time.into()).unwrap();
    scene.look().await.unwrap();
    assert!(scene.notes().pop().unwrap().ends_with("at an unknown time"));
}

#[tokio::test]
async fn settings_of_the_network_that_cannot_be_used_are_not_taken_for_its_absence() {
    let mut scene = Scene::new();
    scene.look().await.unwrap();
    scene.bench.network.proxies = Proxies::Explicit {
        http: Some("http://bad host".to_owned()),
        https: None,
        except: None,
    };
    let error = scene.look().await.unwrap_err();
    assert!(matches!(net(&error), Net::Proxy { .. }), "{error:?}");
    assert_eq!(error.class(), Class::Usage);
    assert!(scene.bench.warnings().is_empty());
}

#[tokio::test]
async fn a_mirror_that_redirects_in_a_circle_is_given_up() {
    let scene = Scene::new();
    let itself = format!("{}/bin/{CATALOGUE}", scene.server.url());
    scene.server.always(CATALOGUE, Fault::Redirect(itself));
    let error = scene.look().await.unwrap_err();
    assert!(matches!(net(&error), Net::Connection { .. }), "{error:?}");
    // Ten are followed, and the same would come the next time.
    assert_eq!(scene.server.seen(CATALOGUE).len(), 11);
}

#[tokio::test]
async fn a_folder_without_a_catalogue_is_no_mirror() {
    let bench = Bench::new();
    let folder = tempfile::tempdir().unwrap();
    let acquirer = bench.acquirer(folder.path().to_str().unwrap());
    let error = acquirer.catalogue().await.unwrap_err();
    let Error::Io { path, .. } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(*path, folder.path().join("bin").join(CATALOGUE));
    assert_eq!(error.hints(), ["is the path right?"]);
}

#[tokio::test]
async fn a_catalogue_of_a_server_may_not_name_files_of_this_machine() {
    let mut scene = Scene::new();
    let archive = tiny_julia("1.5.4", 1000).gz();
    scene.mirror.publish_with("1.5.4", LINUX, &archive, |file| {
        file.insert("url".to_owned(), "file:///etc/passwd".into());
    });
    let error = scene.look().await.unwrap_err();
    assert!(matches!(error, Error::LocalFile { .. }), "{error}");
    assert_eq!(error.class(), Class::Acquire);
    assert!(error.to_string().contains("file:///etc/passwd"), "{error}");
    // The catalogue of a folder is of this machine itself.
    let folder = scene.mirror.path().to_str().unwrap();
    let catalogue = scene.bench.acquirer(folder).catalogue().await.unwrap();
    assert_eq!(catalogue.releases().len(), 2);
}

#[tokio::test]
async fn an_entry_with_a_hostile_version_or_address_is_left_out() {
    let mut scene = Scene::new();
    for text in sysforge_testkit::hostile::texts() {
        let archive = tiny_julia("1.5.4", 1000).gz();
        scene.mirror.publish_with("1.5.4", LINUX, &archive, |file| {
            file.insert(
                "url".to_owned(),
                format!("https://example.org/{text}").into(),
            );
        });
    }
    let catalogue = scene.bench.acquirer(&scene.server.url()).catalogue().await;
    let catalogue = catalogue.unwrap();
    for file in catalogue
        .releases()
        .iter()
        .flat_map(|release| &release.files)
    {
        assert!(file.url.as_str().is_ascii(), "{}", file.url);
        assert!(
            !file.name().contains(['/', '\\', '\'', '"', '`', '\n']),
            "{}",
            file.url
        );
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_pipe_in_a_mirror_is_refused_at_once() {
    let mut scene = Scene::new();
    let path = scene
        .mirror
        .publish("1.5.4", LINUX, &tiny_julia("1.5.4", 1000).gz());
    let path = scene.mirror.path().join(path);
    let folder = scene.mirror.path().to_str().unwrap().to_owned();
    for pipe in [path, scene.mirror.path().join("bin").join(CATALOGUE)] {
        fs::remove_file(&pipe).unwrap();
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        let error = scene.bench.install(&folder, "1.5.4").await.unwrap_err();
        assert!(matches!(error, Error::Io { .. }), "{error:?}");
    }
}

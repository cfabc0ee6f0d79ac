//! The fetcher: from files and from servers, out of archives of every kind, and not out of the
//! sandbox.

#![allow(clippy::unwrap_used)]

mod room;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use meseta_container::fetch::{FetchRequest, Item, fetch_all};
use room::{as_everybody, mode, owner};
use serde_json::json;
use tempfile::TempDir;

fn item(uri: &str) -> Item {
    Item {
        uri: uri.to_owned(),
        executable: false,
        extract: true,
        output_file: None,
    }
}

fn fetch(sandbox: &Path, item: Item) -> Result<(), String> {
    let sandbox = sandbox.to_str().unwrap().to_owned();
    fetch_all(&FetchRequest {
        sandbox,
        stall_timeout_secs: 1,
        items: vec![item],
    })
}

fn text(sandbox: &TempDir, name: &str) -> String {
    fs::read_to_string(sandbox.path().join(name)).unwrap()
}

/// Serves every connection with the answer to its request line, each on a thread of its own.
/// Gives the port.
fn serve(answer: impl Fn(&str, &mut TcpStream) + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let answer = Arc::clone(&answer);
            std::thread::spawn(move || {
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let first = lines.next().and_then(Result::ok).unwrap_or_default();
                while lines
                    .next()
                    .and_then(Result::ok)
                    .is_some_and(|line| !line.is_empty())
                {}
                let mut stream = stream;
                answer(&first, &mut stream);
            });
        }
    });
    port
}

fn reply(stream: &mut TcpStream, head: &str, body: &[u8]) {
    let length = body.len();
    let _ = write!(
        stream,
        "HTTP/1.1 {head}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    let _ = stream.write_all(body);
}

#[test]
fn http_follows_redirections_and_names_what_went_wrong() {
    let port = serve(|request, stream| match request.split(' ').nth(1).unwrap() {
        "/a/file" => reply(stream, "200 OK", b"content"),
        "/moved" => reply(stream, "302 Found\r\nLocation: /a/file", b""),
        "/loop" => reply(stream, "302 Found\r\nLocation: /loop", b""),
        "/chunked" => {
            let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
            let _ = write!(stream, "{head}3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
        }
        "/short" => {
            let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc");
        }
        "/stalled" => {
            let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc");
            // Until the fetcher hangs up.
            let _ = stream.read(&mut [0; 1]);
        }
        _ => reply(stream, "404 Not Found", b"nothing here"),
    });
    let sandbox = tempfile::tempdir().unwrap();
    let url = |path: &str| format!("http://127.0.0.1:{port}{path}");
    let get = |path: &str| fetch(sandbox.path(), item(&url(path)));

    get("/a/file").unwrap();
    assert_eq!(text(&sandbox, "file"), "content");
    get("/moved").unwrap();
    assert_eq!(text(&sandbox, "moved"), "content");
    get("/chunked").unwrap();
    assert_eq!(text(&sandbox, "chunked"), "abcde");
    let named = Item {
        output_file: Some("bin/tool".to_owned()),
        executable: true,
        ..item(&url("/a/file"))
    };
    fetch(sandbox.path(), named).unwrap();
    assert_eq!(mode(&sandbox.path().join("bin/tool")), 0o755);

    let missing = get("/none").unwrap_err();
    assert_eq!(
        missing,
        format!(
            "Failed to fetch '{}': the server answered HTTP status 404 Not Found",
            url("/none")
        )
    );
    assert!(
        get("/loop")
            .unwrap_err()
            .contains("more than 10 redirections")
    );
    assert!(get("/short").is_err());
    assert!(
        get("/stalled")
            .unwrap_err()
            .contains("less than 1 byte/s for 1 s")
    );
    // A port that nobody listens on any more.
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    assert!(
        fetch(sandbox.path(), item(&format!("http://{closed}/x")))
            .unwrap_err()
            .contains("refused")
    );
}

/// Runs the fetcher's own process; gives whether it worked and what it told the supervisor.
fn fetcher(sandbox: &Path, uri: &str, environment: &[(&str, &str)]) -> (bool, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_meseta-launch-test"))
        .arg("fetch")
        .env_clear()
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let request = json!({
        "sandbox": sandbox, "stall_timeout_secs": 5,
        "items": [{ "uri": uri, "executable": false, "extract": true, "output_file": null }],
    });
    child
        .stdin
        .take()
        .unwrap()
        .write_all(request.to_string().as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    (
        output.status.success(),
        String::from_utf8(output.stdout).unwrap(),
    )
}

#[test]
fn https_checks_certificates_against_the_chosen_authority() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tls");
    let pem = |name: &str| fs::read(directory.join(name)).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    use rustls::pki_types::pem::PemObject;
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![rustls::pki_types::CertificateDer::from_pem_slice(&pem("server.pem")).unwrap()],
            rustls::pki_types::PrivateKeyDer::from_pem_slice(&pem("server.key")).unwrap(),
        )
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut session = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut tls = rustls::Stream::new(&mut session, &mut stream);
            if tls.read(&mut [0; 4096]).is_ok() {
                let _ = tls.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret");
                let _ = tls.flush();
            }
        }
    });
    let sandbox = tempfile::tempdir().unwrap();
    let uri = format!("https://127.0.0.1:{port}/file");
    let authority = directory.join("ca.pem");
    let trusted = [("SSL_CERT_FILE", authority.to_str().unwrap())];
    assert_eq!(
        fetcher(sandbox.path(), &uri, &trusted),
        (true, String::new())
    );
    assert_eq!(text(&sandbox, "file"), "secret");
    let (worked, reason) = fetcher(sandbox.path(), &uri, &[]);
    assert!(!worked && reason.contains("certificate"), "{reason}");
}

#[test]
fn the_lower_case_proxy_variables_are_honoured() {
    // A proxy that answers for one host, and opens no tunnels.
    let port = serve(|request, stream| match request {
        "GET http://files.example/file HTTP/1.0" => {
            reply(stream, "302 Found\r\nLocation: other", b"");
        }
        "GET http://files.example/other HTTP/1.0" => reply(stream, "200 OK", b"by proxy"),
        request => reply(stream, "403 Forbidden", request.as_bytes()),
    });
    let sandbox = tempfile::tempdir().unwrap();
    let proxy = format!("http://127.0.0.1:{port}");
    let variables = [
        ("http_proxy", proxy.as_str()),
        ("https_proxy", proxy.as_str()),
    ];
    let uri = "http://files.example/file";
    assert_eq!(
        fetcher(sandbox.path(), uri, &variables),
        (true, String::new())
    );
    assert_eq!(text(&sandbox, "file"), "by proxy");
    let (worked, reason) = fetcher(sandbox.path(), "http://other.example/file", &variables);
    assert!(
        !worked && reason.contains("HTTP status 403 Forbidden"),
        "{reason}"
    );
    let (worked, reason) = fetcher(sandbox.path(), "https://files.example/file", &variables);
    assert!(
        !worked && reason.to_lowercase().contains("proxy"),
        "{reason}"
    );
}

/// A tar of these entries, names taken as they are.
fn tar_of(entries: &[(&str, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in entries {
        let mut header = tar::Header::new_gnu();
        let raw = &mut header.as_gnu_mut().unwrap().name;
        raw[..name.len()].copy_from_slice(name.as_bytes());
        header.set_mode(0o640);
        if let Some(target) = content.strip_prefix("symlink:") {
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_link_name_literal(target).unwrap();
            header.set_size(0);
            header.set_cksum();
            builder.append(&header, &b""[..]).unwrap();
        } else if let Some(target) = content.strip_prefix("link:") {
            header.set_entry_type(tar::EntryType::Link);
            header.set_link_name_literal(target).unwrap();
            header.set_size(0);
            header.set_cksum();
            builder.append(&header, &b""[..]).unwrap();
        } else {
            header.set_size(content.len() as u64);
            header.set_cksum();
            builder.append(&header, content.as_bytes()).unwrap();
        }
    }
    builder.into_inner().unwrap()
}

fn zip_of(entries: &[(&str, &str)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in entries {
        let options = zip::write::SimpleFileOptions::default().unix_permissions(0o640);
        if let Some(target) = content.strip_prefix("symlink:") {
            writer.add_symlink(*name, target, options).unwrap();
        } else {
            writer.start_file(*name, options).unwrap();
            writer.write_all(content.as_bytes()).unwrap();
        }
    }
    writer.finish().unwrap().into_inner()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let options = lzma_rust2::XzOptions::with_preset(1);
    let mut encoder = lzma_rust2::XzWriter::new(Vec::new(), options).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Fetches an archive of these bytes under this name into a fresh sandbox inside a fresh directory.
fn extracted(name: &str, bytes: &[u8]) -> (TempDir, Result<(), String>) {
    let around = tempfile::tempdir().unwrap();
    let sandbox = around.path().join("sandbox");
    fs::create_dir(&sandbox).unwrap();
    let source = around.path().join(name);
    fs::write(&source, bytes).unwrap();
    let outcome = fetch(&sandbox, item(source.to_str().unwrap()));
    (around, outcome)
}

#[test]
fn every_kind_of_archive_is_extracted_by_its_name() {
    let tar = tar_of(&[
        ("d/", ""),
        ("d/one", "1"),
        ("two", "22"),
        ("l", "symlink:d/one"),
    ]);
    let kinds: [(&str, Vec<u8>); 7] = [
        ("a.tar", tar.clone()),
        ("a.tgz", gzip(&tar)),
        ("a.tar.gz", gzip(&tar)),
        ("a.tbz2", bzip2(&tar)),
        ("a.tar.bz2", bzip2(&tar)),
        ("a.txz", xz(&tar)),
        ("a.tar.xz", xz(&tar)),
    ];
    let zip = zip_of(&[("d/one", "1"), ("two", "22"), ("l", "symlink:d/one")]);
    for (name, bytes) in kinds.iter().map(|(n, b)| (*n, b)).chain([("a.zip", &zip)]) {
        let (around, outcome) = extracted(name, bytes);
        assert_eq!(outcome, Ok(()), "{name}");
        let read =
            |file: &str| fs::read_to_string(around.path().join("sandbox").join(file)).unwrap();
        assert_eq!(
            (read("d/one"), read("two"), read("l")),
            ("1".into(), "22".into(), "1".into())
        );
        assert_eq!(mode(&around.path().join("sandbox/two")), 0o640, "{name}");
        assert!(
            around.path().join("sandbox").join(name).exists(),
            "the archive stays"
        );
    }
    let (around, outcome) = extracted("notes.txt.gz", &gzip(b"plain"));
    assert_eq!(outcome, Ok(()));
    assert_eq!(
        fs::read_to_string(around.path().join("sandbox/notes.txt")).unwrap(),
        "plain"
    );
    let (around, outcome) = extracted("a.jar", &zip);
    assert_eq!(outcome, Ok(()));
    assert!(
        !around.path().join("sandbox/two").exists(),
        "not an archive by its name"
    );
}

#[test]
fn an_xz_stream_that_asks_for_too_much_memory_is_refused() {
    let mut bytes = xz(&tar_of(&[("one", "1")]));
    // The block header behind the 12 bytes of the stream's: its size in words, flags, the id of
    // the filter (0x21), the size of its properties (1), the dictionary's size; a checksum ends it.
    let end = 12 + usize::from(bytes[12]) * 4;
    assert_eq!(bytes[14..16], [0x21, 1]);
    bytes[16] = 39; // 3 GiB
    let mut checksum = flate2::Crc::new();
    checksum.update(&bytes[12..end]);
    bytes[end..end + 4].copy_from_slice(&checksum.sum().to_le_bytes());
    let (_, outcome) = extracted("bomb.tar.xz", &bytes);
    let reason = outcome.unwrap_err();
    assert!(reason.contains("memory"), "{reason}");
}

#[test]
fn no_archive_writes_outside_of_the_sandbox() {
    let outside = tempfile::tempdir().unwrap();
    let target = outside.path().to_str().unwrap();
    fs::write(outside.path().join("victim"), "untouched").unwrap();
    let through = format!("symlink:{target}");
    let hard = format!("link:{target}/victim");
    let cases: [(&str, Vec<u8>); 7] = [
        ("up.tar", tar_of(&[("../escaped", "x")])),
        ("deep.tar", tar_of(&[("a/../../escaped", "x")])),
        ("through.tar", tar_of(&[("l", &through), ("l/victim", "x")])),
        ("hard.tar", tar_of(&[("v", &hard)])),
        ("up.zip", zip_of(&[("../escaped", "x")])),
        ("absolute.zip", zip_of(&[("/tmp/meseta-escaped", "x")])),
        ("through.zip", zip_of(&[("l", &through), ("l/victim", "x")])),
    ];
    for (name, bytes) in cases {
        let (around, outcome) = extracted(name, &bytes);
        let reason = outcome.unwrap_err();
        assert!(
            reason.contains(&format!("cannot extract {name}: ")),
            "{reason}"
        );
        assert!(!around.path().join("escaped").exists(), "{name}");
        assert_eq!(text(&outside, "victim"), "untouched", "{name}");
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1, "{name}");
    }
    // tar(1) cuts a leading slash off; so do we.
    let (around, outcome) = extracted("absolute.tar", &tar_of(&[("/meseta/inside", "x")]));
    assert_eq!(outcome, Ok(()));
    assert!(around.path().join("sandbox/meseta/inside").exists());
    for name in [
        "cut.tar.gz",
        "cut.tar.xz",
        "cut.tar.bz2",
        "cut.zip",
        "cut.gz",
    ] {
        let (_, outcome) = extracted(name, b"this is no archive");
        assert!(
            outcome
                .unwrap_err()
                .contains(&format!("cannot extract {name}"))
        );
    }
}

#[test]
fn files_are_copied_and_never_through_a_link_of_the_sandbox() {
    let sandbox = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    let source = outside.path().join("source");
    fs::write(&source, "content").unwrap();
    let uri = format!("file://{}", source.display());
    let named = |name: &str| Item {
        output_file: Some(name.to_owned()),
        ..item(&uri)
    };

    fetch(sandbox.path(), named("a/b/c")).unwrap();
    assert_eq!(text(&sandbox, "a/b/c"), "content");

    symlink(outside.path(), sandbox.path().join("out")).unwrap();
    let reason = fetch(sandbox.path(), named("out/planted")).unwrap_err();
    assert!(reason.contains("leads outside of the sandbox"), "{reason}");
    symlink(outside.path().join("planted"), sandbox.path().join("link")).unwrap();
    fetch(sandbox.path(), named("link")).unwrap();
    assert!(
        !outside.path().join("planted").exists(),
        "the link was replaced, not followed"
    );

    let reason = fetch(sandbox.path(), item(outside.path().to_str().unwrap())).unwrap_err();
    assert!(reason.contains("not a regular file"), "{reason}");
    let reason = fetch(sandbox.path(), item("/no/such/file")).unwrap_err();
    assert_eq!(
        reason,
        "Failed to fetch '/no/such/file': /no/such/file: No such file or directory (os error 2)"
    );
}

#[test]
fn a_container_fetches_before_it_runs_and_fails_with_the_reason() {
    as_everybody(|world| {
        let source = world.dir.path().join("tool.sh");
        fs::write(&source, "#!/bin/sh\necho tool ran with $1\n").unwrap();
        let mut agent = world.agent();
        let mut spec = world.shell("a", "./tool.sh argument; ./sub/other two");
        spec["uris"] = json!([
            { "value": source, "executable": true },
            { "value": source, "executable": true, "output_file": "sub/other" },
        ]);
        assert_eq!(agent.run(&spec), 0);
        assert_eq!(
            world.read("a", "stdout"),
            "tool ran with argument\ntool ran with two\n"
        );
        let log = world.read("a", "stderr");
        assert!(
            log.contains(&format!("Fetched '{}'", source.display())),
            "{log}"
        );
        assert_eq!(
            owner(&world.sandbox("a").join("tool.sh")),
            owner(&world.runtime())
        );

        let mut spec = world.shell("b", "touch ran");
        spec["uris"] = json!([{ "value": "ftp://h/x" }]);
        agent.launch_and_release(&spec);
        let message = agent.failed(&["b"]);
        assert_eq!(
            message,
            "Failed to fetch all URIs for container 'b': Failed to fetch 'ftp://h/x': scheme 'ftp' \
             is not supported by this agent yet"
        );
        assert!(
            world
                .read("b", "stderr")
                .contains("Failed to fetch 'ftp://h/x'")
        );
        assert!(!world.sandbox("b").join("ran").exists());
        agent.await_fetches(1, 1);

        let mut spec = world.shell("c", "true");
        spec["uris"] = json!(vec![json!({ "value": "/x" }); 1025]);
        agent.say(&json!({ "launch": spec }));
        assert_eq!(agent.failed(&["c"]), "1025 URIs to fetch, more than 1024");
    });
}

#[test]
fn a_container_can_be_destroyed_while_it_fetches() {
    // Accepts and says nothing, until the other side hangs up.
    let (asked, was_asked) = std::sync::mpsc::channel();
    let port = serve(move |_, stream| {
        asked.send(()).unwrap();
        let _ = stream.read(&mut [0; 1]);
    });
    let world = room::World::new(room::Who::Me);
    let mut agent = world.agent();
    let mut spec = world.shell("a", "touch ran");
    spec["uris"] = json!([{ "value": format!("http://127.0.0.1:{port}/x") }]);
    agent.launch_and_release(&spec);
    was_asked.recv_timeout(room::PATIENCE).unwrap();
    agent.say(&json!({ "destroy": ["a"] }));
    let ended = agent.ended(&["a"]);
    assert_eq!(ended["message"], json!("destroyed while URIs were fetched"));
    assert!(!world.sandbox("a").join("ran").exists());
    agent.await_fetches(0, 1);
}

#[test]
fn a_fetch_counts_as_soon_as_it_is_over() {
    let world = room::World::new(room::Who::Me);
    let mut agent = world.agent();
    let mut spec = world.shell("a", "while [ ! -e go ]; do sleep 0.01; done");
    spec["uris"] = json!([{ "value": "/etc/hostname" }]);
    agent.launch(&spec);
    agent.await_fetches(0, 0);
    agent.say(&json!({ "release": ["a"] }));
    agent.await_fetches(1, 0);
    fs::write(world.sandbox("a").join("go"), "").unwrap();
    assert_eq!(agent.ended(&["a"])["status"], json!(0));
    agent.await_fetches(1, 0);

    // Without URIs there is no fetch.
    assert_eq!(agent.run(&world.shell("b", "true")), 0);
    agent.await_fetches(1, 0);
}

//! `/files/browse`, `/files/read`, `/files/download` and `/files/debug`.

use http::StatusCode;
use http::header::{self, HeaderValue};
use meseta_proto::mesos::v1;

use super::{Files, mode_text};
use crate::answer::Answer;
use crate::json;
use crate::jsonp;
use crate::server::Request;

/// The endpoints, each with or without `/files` as the process that it belongs to in Mesos.
pub(crate) const ENDPOINTS: [&str; 4] = [
    "files/browse",
    "files/debug",
    "files/download",
    "files/read",
];

pub(crate) async fn answer(files: &Files, endpoint: &str, request: &Request) -> Answer {
    let answer = match endpoint {
        "files/browse" => browse(files, request).await,
        "files/read" => read(files, request).await,
        "files/download" => download(files, request).await,
        _ => Ok(debug(files, request)),
    };
    answer.unwrap_or_else(|refused| refused)
}

fn path(request: &Request) -> Result<String, Answer> {
    let path = request.query.get("path").filter(|path| !path.is_empty());
    let missing = || Answer::bad_request("Expecting 'path=value' in query.\n");
    path.map(ToOwned::to_owned).ok_or_else(missing)
}

async fn browse(files: &Files, request: &Request) -> Result<Answer, Answer> {
    let entries = files.list(path(request)?).await?;
    let mut out = String::new();
    json::list(&mut out, |l| {
        for entry in &entries {
            l.object(|o| write(o, entry));
        }
    });
    Ok(jsonp::answer(out, &request.query))
}

fn write(o: &mut json::Object<'_>, entry: &v1::FileInfo) {
    let seconds = entry
        .mtime
        .as_ref()
        .map_or(0, |time| time.nanoseconds / 1_000_000_000);
    o.text("gid", entry.gid());
    o.text("mode", &mode_text(entry.mode()));
    o.number("mtime", seconds as f64);
    o.integer("nlink", entry.nlink());
    o.text("path", &entry.path);
    o.integer("size", entry.size());
    o.text("uid", entry.uid());
}

async fn read(files: &Files, request: &Request) -> Result<Answer, Answer> {
    let path = path(request)?;
    let number = |name: &str| match request.query.get(name) {
        None | Some("") => Ok(-1),
        Some(text) => text.parse::<i64>().map_err(|_| {
            Answer::bad_request(format!(
                "Failed to parse {name}: Failed to convert '{text}' to number.\n"
            ))
        }),
    };
    let (offset, length) = (number("offset")?, number("length")?);
    if offset < -1 {
        return Err(Answer::bad_request(format!(
            "Negative offset provided: {offset}.\n"
        )));
    }
    if length < -1 {
        return Err(Answer::bad_request(format!(
            "Negative length provided: {length}.\n"
        )));
    }
    // compat: without an offset the size is told and nothing read; log pagers begin so.
    let part = match u64::try_from(offset) {
        Ok(offset) => files.read(path, offset, u64::try_from(length).ok()).await?,
        Err(_) => files.read(path, 0, Some(0)).await?,
    };
    let told = u64::try_from(offset).unwrap_or(part.size);
    let mut out = String::new();
    json::object(&mut out, |o| {
        o.text("data", &String::from_utf8_lossy(&part.data));
        o.integer("offset", told);
    });
    Ok(jsonp::answer(out, &request.query))
}

async fn download(files: &Files, request: &Request) -> Result<Answer, Answer> {
    let path = path(request)?;
    let name = path
        .trim_end_matches('/')
        .rsplit('/')
        .next()
        .unwrap_or_default();
    let name: String = name
        .chars()
        .filter(|c| c.is_ascii_graphic() && *c != '"')
        .collect();
    let part = files.download(path).await?;
    let disposition = HeaderValue::from_str(&format!("attachment; filename=\"{name}\""));
    let octets = HeaderValue::from_static("application/octet-stream");
    let answer = Answer::whole(StatusCode::OK, octets, part.data.into());
    Ok(match disposition {
        Ok(disposition) => answer.with(header::CONTENT_DISPOSITION, disposition),
        Err(_) => answer,
    })
}

fn debug(files: &Files, request: &Request) -> Answer {
    let mut out = String::new();
    json::object(&mut out, |o| {
        for (name, real) in files.attached() {
            o.text(&name, &real.to_string_lossy());
        }
    });
    jsonp::answer(out, &request.query)
}

//! Resources as text for error messages and logs, in Mesos's form.

use std::fmt;

use meseta_proto::mesos::v1;
use v1::resource::disk_info::source;
use v1::resource::{DiskInfo, ReservationInfo, disk_info, reservation_info};

use super::{Resource, ResourceFormat, Resources, Scalar};

/// A wire resource, valid or not, as Mesos prints it: `cpus(allocated: *):1`,
/// `disk(reservations: [(DYNAMIC,ops,p)])[v1:data]:50`.
pub struct Shown<'a>(pub &'a v1::Resource);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(wire) = self;
        f.write_str(&wire.name)?;
        if let Some(info) = &wire.allocation_info {
            write!(f, "(allocated: {})", info.role())?;
        }
        if !wire.reservations.is_empty() {
            let stack: Vec<String> = wire.reservations.iter().map(show_reservation).collect();
            write!(f, "(reservations: [({})])", stack.join("),("))?;
        }
        if let Some(disk) = &wire.disk {
            write!(f, "[{}]", show_disk(disk))?;
        }
        if wire.revocable.is_some() {
            f.write_str("{REV}")?;
        }
        if wire.shared.is_some() {
            f.write_str("<SHARED>")?;
        }
        f.write_str(":")?;
        show_value(wire, f)
    }
}

fn show_value(wire: &v1::Resource, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if let Some(scalar) = &wire.scalar {
        match Scalar::try_from_f64(scalar.value) {
            Ok(quantity) => write!(f, "{quantity}")?,
            Err(_) => write!(f, "{}", scalar.value)?,
        }
    }
    if let Some(ranges) = &wire.ranges {
        let pairs: Vec<String> = ranges
            .range
            .iter()
            .map(|r| format!("{}-{}", r.begin, r.end))
            .collect();
        write!(f, "[{}]", pairs.join(", "))?;
    }
    if let Some(set) = &wire.set {
        write!(f, "{{{}}}", set.item.join(", "))?;
    }
    Ok(())
}

fn show_reservation(wire: &ReservationInfo) -> String {
    let kind = reservation_info::Type::try_from(wire.r#type.unwrap_or_default())
        .unwrap_or(reservation_info::Type::Unknown);
    let mut text = format!("{},{}", kind.as_str_name(), wire.role());
    if let Some(principal) = &wire.principal {
        text.push_str(&format!(",{principal}"));
    }
    if let Some(labels) = &wire.labels {
        text.push_str(&format!(",{}", show_labels(labels)));
    }
    text
}

/// Labels as Mesos prints them: `{key: value, bare}`.
fn show_labels(labels: &v1::Labels) -> String {
    let show = |label: &v1::Label| match &label.value {
        Some(value) => format!("{}: {value}", label.key),
        None => label.key.clone(),
    };
    format!(
        "{{{}}}",
        labels
            .labels
            .iter()
            .map(show)
            .collect::<Vec<_>>()
            .join(", ")
    )
}

fn show_disk(disk: &DiskInfo) -> String {
    let mut text = disk.source.as_ref().map(show_source).unwrap_or_default();
    if let Some(persistence) = &disk.persistence {
        if disk.source.is_some() {
            text.push(',');
        }
        text.push_str(&persistence.id);
    }
    if let Some(volume) = &disk.volume {
        text.push(':');
        match &volume.host_path {
            None => text.push_str(&volume.container_path),
            Some(host_path) => {
                let mode = if volume.mode == v1::volume::Mode::Ro as i32 {
                    "ro"
                } else {
                    "rw"
                };
                text.push_str(&format!("{host_path}:{}:{mode}", volume.container_path));
            }
        }
    }
    text
}

fn show_source(wire: &disk_info::Source) -> String {
    let kind = source::Type::try_from(wire.r#type).unwrap_or(source::Type::Unknown);
    let root = wire
        .mount
        .as_ref()
        .and_then(|mount| mount.root.as_ref())
        .or_else(|| wire.path.as_ref().and_then(|path| path.root.as_ref()));
    let plugin = wire.id.is_some() || wire.profile.is_some();
    let detail = if plugin {
        format!("({},{},{})", wire.vendor(), wire.id(), wire.profile())
    } else {
        root.map(|root| format!(":{root}")).unwrap_or_default()
    };
    format!("{}{detail}", kind.as_str_name())
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}",
            Shown(&self.to_wire(ResourceFormat::PostRefinement))
        )?;
        if self.is_shared() {
            write!(f, "<{}>", self.count())
        } else {
            Ok(())
        }
    }
}

impl fmt::Display for Resources {
    /// `cpus:4; mem:1024`, or `{}` when empty.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("{}");
        }
        for (i, resource) in self.iter().enumerate() {
            let separator = if i == 0 { "" } else { "; " };
            write!(f, "{separator}{resource}")?;
        }
        Ok(())
    }
}

use bytes::Bytes;
use meseta_proto::mesos::v1;
use v1::volume::source;

use super::said;
use crate::validation::{container, environment, secret, volume};

#[test]
fn environments() {
    use v1::environment::Variable;
    use v1::environment::variable::Type;
    let says = |kind: Option<Type>, value: bool, secret: Option<v1::Secret>| {
        let variable = Variable {
            name: "X".to_owned(),
            r#type: kind.map(|kind| kind as i32),
            value: value.then(|| "v".to_owned()),
            secret,
        };
        said(environment(&v1::Environment {
            variables: vec![variable],
        }))
    };
    let whole = |data: &'static [u8]| {
        Some(v1::Secret {
            r#type: Some(v1::secret::Type::Value as i32),
            value: Some(v1::secret::Value {
                data: Bytes::from_static(data),
            }),
            reference: None,
        })
    };
    let x = |text: &str| format!("Environment variable 'X' {text}");
    assert_eq!(
        says(None, false, None),
        x("of type 'VALUE' must have a value set")
    );
    assert_eq!(
        says(None, true, whole(b"s")),
        x("of type 'VALUE' must not have a secret set")
    );
    assert_eq!(says(None, true, None), "ok");
    assert_eq!(says(Some(Type::Value), true, None), "ok");
    assert_eq!(
        says(Some(Type::Secret), false, None),
        x("of type 'SECRET' must have a secret set")
    );
    assert_eq!(
        says(Some(Type::Secret), true, whole(b"s")),
        x("of type 'SECRET' must not have a value set")
    );
    let empty = Some(v1::Secret {
        r#type: Some(v1::secret::Type::Value as i32),
        ..Default::default()
    });
    assert_eq!(
        says(Some(Type::Secret), false, empty),
        x("specifies an invalid secret: Secret of type VALUE must have the 'value' field set")
    );
    assert_eq!(
        says(Some(Type::Secret), false, whole(b"a\0b")),
        x("specifies a secret containing null bytes, which is not allowed in the environment")
    );
    assert_eq!(says(Some(Type::Secret), false, whole(b"s")), "ok");
    assert_eq!(
        says(Some(Type::Unknown), true, None),
        "Environment variable of type 'UNKNOWN' is not allowed"
    );
}

#[test]
fn secrets() {
    use v1::secret::{Reference, Type, Value};
    let says = |kind: Type, reference: bool, value: bool| {
        said(secret(&v1::Secret {
            r#type: Some(kind as i32),
            reference: reference.then(|| Reference {
                name: "n".to_owned(),
                key: None,
            }),
            value: value.then(Value::default),
        }))
    };
    assert_eq!(
        says(Type::Reference, false, false),
        "Secret of type REFERENCE must have the 'reference' field set"
    );
    assert_eq!(
        says(Type::Reference, true, true),
        "Secret 'n' of type REFERENCE must not have the 'value' field set"
    );
    assert_eq!(says(Type::Reference, true, false), "ok");
    assert_eq!(
        says(Type::Value, false, false),
        "Secret of type VALUE must have the 'value' field set"
    );
    assert_eq!(
        says(Type::Value, true, true),
        "Secret of type VALUE must not have the 'reference' field set"
    );
    assert_eq!(says(Type::Value, false, true), "ok");
    assert_eq!(says(Type::Unknown, true, true), "ok");
}

#[test]
fn volumes() {
    let says = |host_path: bool, source: Option<v1::volume::Source>| {
        said(volume(&v1::Volume {
            host_path: host_path.then(|| "/x".to_owned()),
            source,
            ..Default::default()
        }))
    };
    let source = |kind: source::Type, full: bool| {
        Some(v1::volume::Source {
            r#type: Some(kind as i32),
            docker_volume: full.then(Default::default),
            host_path: full.then(Default::default),
            sandbox_path: full.then(Default::default),
            secret: full.then(Default::default),
            csi_volume: full.then(Default::default),
        })
    };
    let one = "Only one of them should be set: 'host_path', 'image' and 'source'";
    assert_eq!(says(false, None), one);
    assert_eq!(says(true, source(source::Type::HostPath, true)), one);
    assert_eq!(says(true, None), "ok");
    for (kind, field, name) in [
        (source::Type::DockerVolume, "docker_volume", "DOCKER_VOLUME"),
        (source::Type::HostPath, "host_path", "HOST_PATH"),
        (source::Type::SandboxPath, "sandbox_path", "SANDBOX_PATH"),
        (source::Type::Secret, "secret", "SECRET"),
    ] {
        let wanted = format!("'source.{field}' is not set for {name} volume");
        assert_eq!(says(false, source(kind, false)), wanted);
        assert_eq!(says(false, source(kind, true)), "ok");
    }
    let csi = |full| says(false, source(source::Type::CsiVolume, full));
    assert_eq!(csi(false), "'source.csi_volume' is not set for CSI volume");
    assert_eq!(
        csi(true),
        "'source.csi_volume.static_provisioning' is not set for CSI volume"
    );
    assert_eq!(
        says(false, source(source::Type::Unknown, true)),
        "'source.type' is unknown"
    );
}

#[test]
fn containers() {
    use v1::container_info::{DockerInfo, Type};
    let says = |kind: Type, docker: Option<DockerInfo>, volumes: Vec<v1::Volume>| {
        let r#type = kind as i32;
        said(container(&v1::ContainerInfo {
            r#type,
            docker,
            volumes,
            ..Default::default()
        }))
    };
    let named = |key: &str| {
        let parameter = v1::Parameter {
            key: key.to_owned(),
            value: String::new(),
        };
        Some(DockerInfo {
            parameters: vec![parameter],
            ..Default::default()
        })
    };
    assert_eq!(
        says(Type::Mesos, None, vec![Default::default()]),
        "Invalid volume: Only one of them should be set: 'host_path', 'image' and 'source'"
    );
    assert_eq!(
        says(Type::Docker, None, vec![]),
        "DockerInfo 'docker' is not set for DOCKER typed ContainerInfo"
    );
    assert_eq!(
        says(Type::Docker, named("name"), vec![]),
        "Parameter in DockerInfo must not be 'name'"
    );
    assert_eq!(says(Type::Docker, named("hostname"), vec![]), "ok");
    assert_eq!(
        says(Type::Mesos, named("name"), vec![]),
        "ok",
        "not a docker container"
    );
}

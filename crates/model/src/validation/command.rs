//! Commands, their environment, and the containers they run in.

use meseta_proto::mesos::v1;

/// Why a command is refused. Only its environment is looked at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCommand {
    /// A SECRET variable without a secret.
    #[error("Environment variable '{0}' of type 'SECRET' must have a secret set")]
    SecretMissing(String),
    /// A SECRET variable with a plain value.
    #[error("Environment variable '{0}' of type 'SECRET' must not have a value set")]
    ValueOnSecret(String),
    /// A SECRET variable with a bad secret.
    #[error("Environment variable '{name}' specifies an invalid secret: {reason}")]
    Secret {
        /// The variable.
        name: String,
        /// What is wrong.
        reason: InvalidSecret,
    },
    /// A secret that no environment can hold.
    #[error(
        "Environment variable '{0}' specifies a secret containing null bytes, which is not allowed \
         in the environment"
    )]
    NullInSecret(String),
    /// A VALUE variable without a value.
    #[error("Environment variable '{0}' of type 'VALUE' must have a value set")]
    ValueMissing(String),
    /// A VALUE variable with a secret.
    #[error("Environment variable '{0}' of type 'VALUE' must not have a secret set")]
    SecretOnValue(String),
    /// The type UNKNOWN.
    #[error("Environment variable of type 'UNKNOWN' is not allowed")]
    UnknownType,
}

/// Why a secret is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSecret {
    /// A REFERENCE without one.
    #[error("Secret of type REFERENCE must have the 'reference' field set")]
    ReferenceMissing,
    /// A REFERENCE with a value.
    #[error("Secret '{0}' of type REFERENCE must not have the 'value' field set")]
    ValueOnReference(String),
    /// A VALUE without one.
    #[error("Secret of type VALUE must have the 'value' field set")]
    ValueMissing,
    /// A VALUE with a reference.
    #[error("Secret of type VALUE must not have the 'reference' field set")]
    ReferenceOnValue,
}

/// Why a volume is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidVolume {
    /// None or several places to take it from.
    #[error("Only one of them should be set: 'host_path', 'image' and 'source'")]
    NotOneOrigin,
    /// The source's sub-message is absent.
    #[error("'source.{field}' is not set for {kind} volume")]
    SourceMissing {
        /// The field.
        field: &'static str,
        /// The source's type.
        kind: &'static str,
    },
    /// A source of a type nobody knows.
    #[error("'source.type' is unknown")]
    UnknownSource,
}

/// Why a container is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidContainer {
    /// A bad volume.
    #[error("Invalid volume: {0}")]
    Volume(#[from] InvalidVolume),
    /// DOCKER without its sub-message.
    #[error("DockerInfo 'docker' is not set for DOCKER typed ContainerInfo")]
    DockerMissing,
    /// A name for the docker container, which is the agent's to give.
    #[error("Parameter in DockerInfo must not be 'name'")]
    DockerName,
}

/// Checks a command.
///
/// # Errors
/// The first thing wrong with its environment.
pub fn command(wire: &v1::CommandInfo) -> Result<(), InvalidCommand> {
    wire.environment.as_ref().map_or(Ok(()), environment)
}

/// Checks an environment.
///
/// # Errors
/// The first variable that does not match its type.
pub fn environment(wire: &v1::Environment) -> Result<(), InvalidCommand> {
    wire.variables.iter().try_for_each(variable)
}

fn variable(wire: &v1::environment::Variable) -> Result<(), InvalidCommand> {
    use v1::environment::variable::Type;
    let name = || wire.name.clone();
    match wire.r#type() {
        Type::Secret => {
            let there = wire.secret.as_ref();
            let there = there.ok_or_else(|| InvalidCommand::SecretMissing(name()))?;
            if wire.value.is_some() {
                return Err(InvalidCommand::ValueOnSecret(name()));
            }
            secret(there).map_err(|reason| InvalidCommand::Secret {
                name: name(),
                reason,
            })?;
            if there
                .value
                .as_ref()
                .is_some_and(|value| value.data.contains(&0))
            {
                return Err(InvalidCommand::NullInSecret(name()));
            }
        }
        Type::Value => {
            if wire.value.is_none() {
                return Err(InvalidCommand::ValueMissing(name()));
            }
            if wire.secret.is_some() {
                return Err(InvalidCommand::SecretOnValue(name()));
            }
        }
        Type::Unknown => return Err(InvalidCommand::UnknownType),
    }
    Ok(())
}

/// Checks a secret. UNKNOWN passes: what cannot be resolved fails where it is resolved.
///
/// # Errors
/// When the sub-messages do not match the type.
pub fn secret(wire: &v1::Secret) -> Result<(), InvalidSecret> {
    match wire.r#type() {
        v1::secret::Type::Reference => match (&wire.reference, &wire.value) {
            (None, _) => Err(InvalidSecret::ReferenceMissing),
            (Some(reference), Some(_)) => {
                Err(InvalidSecret::ValueOnReference(reference.name.clone()))
            }
            (Some(_), None) => Ok(()),
        },
        v1::secret::Type::Value => match (&wire.value, &wire.reference) {
            (None, _) => Err(InvalidSecret::ValueMissing),
            (Some(_), Some(_)) => Err(InvalidSecret::ReferenceOnValue),
            (Some(_), None) => Ok(()),
        },
        v1::secret::Type::Unknown => Ok(()),
    }
}

/// Checks a volume.
///
/// # Errors
/// Unless it says exactly once where its content comes from.
pub fn volume(wire: &v1::Volume) -> Result<(), InvalidVolume> {
    use v1::volume::source::Type;
    let origins = [
        wire.host_path.is_some(),
        wire.image.is_some(),
        wire.source.is_some(),
    ];
    if origins.iter().filter(|there| **there).count() != 1 {
        return Err(InvalidVolume::NotOneOrigin);
    }
    let Some(source) = &wire.source else {
        return Ok(());
    };
    let (field, kind, there) = match source.r#type() {
        Type::DockerVolume => (
            "docker_volume",
            "DOCKER_VOLUME",
            source.docker_volume.is_some(),
        ),
        Type::HostPath => ("host_path", "HOST_PATH", source.host_path.is_some()),
        Type::SandboxPath => (
            "sandbox_path",
            "SANDBOX_PATH",
            source.sandbox_path.is_some(),
        ),
        Type::Secret => ("secret", "SECRET", source.secret.is_some()),
        Type::CsiVolume => match &source.csi_volume {
            None => ("csi_volume", "CSI", false),
            Some(csi) => (
                "csi_volume.static_provisioning",
                "CSI",
                csi.static_provisioning.is_some(),
            ),
        },
        Type::Unknown => return Err(InvalidVolume::UnknownSource),
    };
    if there {
        Ok(())
    } else {
        Err(InvalidVolume::SourceMissing { field, kind })
    }
}

/// Checks a container description.
///
/// # Errors
/// The first thing wrong with it. Sub-messages that do not belong to its type are ignored, as in
/// Mesos.
pub fn container(wire: &v1::ContainerInfo) -> Result<(), InvalidContainer> {
    wire.volumes.iter().try_for_each(volume)?;
    if wire.r#type() != v1::container_info::Type::Docker {
        return Ok(());
    }
    let docker = wire
        .docker
        .as_ref()
        .ok_or(InvalidContainer::DockerMissing)?;
    if docker
        .parameters
        .iter()
        .any(|parameter| parameter.key == "name")
    {
        return Err(InvalidContainer::DockerName);
    }
    Ok(())
}

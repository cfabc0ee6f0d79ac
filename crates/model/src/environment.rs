//! What an environment's variables come to.

use meseta_proto::mesos::v1;

/// A variable whose secret is kept elsewhere: Meseta has no secret resolver yet, so the task must not
/// run without it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "Environment variable '{0}' refers to a secret, and there is no secret resolver to ask for it"
)]
pub struct UnresolvedSecret(pub String);

/// Names and values, in order; a secret that carries its value is that value, as Mesos's built-in
/// resolver has it.
///
/// # Errors
/// The first variable whose secret is a reference, or no text.
pub fn resolve(environment: &v1::Environment) -> Result<Vec<(String, String)>, UnresolvedSecret> {
    let resolved = environment.variables.iter().map(|variable| {
        let value = match &variable.secret {
            Some(secret) => {
                let data = secret.value.as_ref().map(|value| value.data.to_vec());
                data.and_then(|data| String::from_utf8(data).ok())
                    .ok_or_else(|| UnresolvedSecret(variable.name.clone()))?
            }
            None => variable.value().to_owned(),
        };
        Ok((variable.name.clone(), value))
    });
    resolved.collect()
}

#[cfg(test)]
mod tests {
    use super::resolve;
    use meseta_proto::mesos::v1;

    fn environment(secret: v1::Secret) -> v1::Environment {
        let plain = v1::environment::Variable {
            name: "A".into(),
            value: Some("1".into()),
            ..Default::default()
        };
        let hidden = v1::environment::Variable {
            name: "B".into(),
            secret: Some(secret),
            ..Default::default()
        };
        v1::Environment {
            variables: vec![plain, hidden],
        }
    }

    #[test]
    fn a_secret_by_value_is_that_value() {
        let value = Some(v1::secret::Value {
            data: "hush".into(),
        });
        let resolved = resolve(&environment(v1::Secret {
            value,
            ..Default::default()
        }));
        let expected = [
            ("A".to_owned(), "1".to_owned()),
            ("B".to_owned(), "hush".to_owned()),
        ];
        assert_eq!(resolved.as_deref(), Ok(&expected[..]));
    }

    #[test]
    fn a_secret_by_reference_is_refused_by_name() {
        let reference = Some(v1::secret::Reference {
            name: "vault".into(),
            key: None,
        });
        let refused = resolve(&environment(v1::Secret {
            reference,
            ..Default::default()
        }));
        let said = refused.map_err(|error| error.to_string());
        let expected = "Environment variable 'B' refers to a secret, and there is no secret resolver to ask for it";
        assert_eq!(said, Err(expected.to_owned()));
    }
}

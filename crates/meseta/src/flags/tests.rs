//! Every flag of Mesos has a verdict; values are read as Mesos reads them.

use super::{AGENT, BadFlag, Flag, Kind, LOGGING, MASTER, Values, Verdict};

/// The flags of Mesos 1.11 and 1.12, by daemon, as its `--help` lists them.
const MESOS_MASTER: &str = "version hostname hostname_lookup root_submissions work_dir registry quorum \
zk zk_session_timeout registry_strict registry_fetch_timeout registry_store_timeout log_auto_initialize \
agent_reregister_timeout slave_reregister_timeout recovery_agent_removal_limit agent_removal_rate_limit \
webui_dir whitelist role_sorter user_sorter framework_sorter allocation_interval cluster roles weights \
authenticate_frameworks authenticate authenticate_agents authenticate_slaves authentication_v0_timeout \
authenticate_http_readwrite authenticate_http_readonly authenticate_http_frameworks credentials acls \
firewall_rules rate_limits max_executors_per_agent offer_timeout modules modules_dir authenticators \
allocator allocator_agent_recovery_factor allocator_recovery_timeout \
fair_sharing_excluded_resource_names filter_gpu_resources min_allocatable_resources hooks \
agent_ping_timeout slave_ping_timeout max_agent_ping_timeouts max_slave_ping_timeouts authorizers \
http_authenticators http_framework_authenticators max_operator_event_stream_subscribers \
max_completed_frameworks max_completed_tasks_per_framework max_unreachable_tasks_per_framework \
master_contender master_detector registry_gc_interval registry_max_agent_age registry_max_agent_count \
ip port advertise_ip advertise_port memory_profiling ip_discovery_command require_agent_domain \
publish_per_framework_metrics domain offer_constraints_re2_max_mem \
offer_constraints_re2_max_program_size";

const MESOS_AGENT: &str = "master hostname hostname_lookup version ip ip6 port advertise_ip advertise_port \
ip_discovery_command ip6_discovery_command zk_session_timeout master_detector resources default_role \
attributes domain work_dir runtime_dir launcher_dir hadoop_home switch_user frameworks_home \
agent_features firewall_rules modules modules_dir hooks memory_profiling registration_backoff_factor \
authentication_backoff_factor authentication_timeout_min authentication_timeout_max \
executor_registration_timeout executor_reregistration_timeout executor_reregistration_retry_interval \
executor_shutdown_grace_period recover recovery_timeout reconfiguration_policy strict \
max_completed_executors_per_framework gc_delay gc_disk_headroom gc_non_executor_container_sandboxes \
disk_watch_interval http_heartbeat_interval credential acls authenticatee authorizer \
http_authenticators http_credentials authenticate_http_readwrite authenticate_http_readonly \
authenticate_http_executors jwt_secret_key secret_resolver effective_capabilities \
bounding_capabilities seccomp_config_dir seccomp_profile_name disallow_sharing_agent_ipc_namespace \
disallow_sharing_agent_pid_namespace containerizers isolation launcher image_providers \
image_provisioner_backend image_gc_config appc_simple_discovery_uri_prefix appc_store_dir docker \
docker_registry docker_store_dir docker_config docker_volume_checkpoint_dir docker_volume_chown \
docker_ignore_runtime docker_remove_delay docker_kill_orphans docker_mesos_image docker_socket \
docker_stop_timeout sandbox_directory default_container_dns default_container_info \
default_container_shm_size host_path_volume_force_creation volume_gid_range container_logger \
executor_environment_variables http_command_executor http_executor_domain_sockets \
domain_socket_location fetcher_cache_size fetcher_cache_dir fetcher_stall_timeout \
cgroups_destroy_timeout cgroups_hierarchy cgroups_root cgroups_enable_cfs cgroups_limit_swap \
cgroups_cpu_enable_pids_and_tids_count cgroups_net_cls_primary_handle cgroups_net_cls_secondary_handles \
allowed_devices agent_subsystems nvidia_gpu_devices perf_events perf_interval perf_duration \
revocable_cpu_low_priority systemd_enable_support systemd_runtime_directory \
container_disk_watch_interval enforce_container_disk_quota xfs_project_range xfs_kill_containers \
xfs_quota_headroom network_cni_plugins_dir network_cni_config_dir network_cni_root_dir_persist \
network_cni_metrics container_ports_watch_interval check_agent_port_range_only \
enforce_container_ports container_ports_isolated_range ephemeral_ports_per_container eth0_name lo_name \
egress_rate_limit_per_container egress_unique_flow_per_container egress_flow_classifier_parent \
egress_rate_per_cpu ingress_rate_limit_per_container ingress_rate_per_cpu minimum_egress_rate_limit \
maximum_egress_rate_limit minimum_ingress_rate_limit maximum_ingress_rate_limit network_link_speed \
network_enable_socket_statistics_summary network_enable_socket_statistics_details \
network_enable_snmp_statistics network_rate_statistics_window network_rate_statistics_interval \
resource_provider_config_dir csi_plugin_config_dir disk_profile_adaptor resource_estimator \
qos_controller qos_correction_interval_min oversubscribed_resources_interval";

const MESOS_LOGGING: &str =
    "quiet logging_level log_dir logbufsecs initialize_driver_logging external_log_file";

fn parse(table: &'static [Flag], line: &[&str]) -> Result<Values, BadFlag> {
    let line: Vec<String> = line.iter().map(|&argument| argument.to_owned()).collect();
    Values::parse(&[table, LOGGING], &line, std::iter::empty())
}

fn lists(table: &[Flag], names: &str) {
    for name in names.split_whitespace() {
        let rows = table
            .iter()
            .filter(|row| row.name == name || row.aliases.contains(&name))
            .count();
        assert_eq!(rows, 1, "--{name} has {rows} rows");
    }
}

#[test]
fn every_flag_of_mesos_has_one_verdict() {
    lists(MASTER, MESOS_MASTER);
    lists(AGENT, MESOS_AGENT);
    lists(LOGGING, MESOS_LOGGING);
}

#[test]
fn no_flag_that_protects_is_inert() {
    let protects = [
        "authenticate",
        "acl",
        "credential",
        "firewall",
        "rate_limit",
        "whitelist",
        "quota",
        "seccomp",
    ];
    for row in MASTER.iter().chain(AGENT) {
        if protects.iter().any(|word| row.name.contains(word)) {
            assert!(
                !matches!(row.verdict, Verdict::Inert(_)),
                "--{} would protect nothing",
                row.name
            );
        }
    }
}

#[test]
fn defaults_are_of_their_own_kind() {
    for table in [MASTER, AGENT, LOGGING] {
        for row in table {
            let Some(default) = row.default else { continue };
            let line = format!("--{}={default}", row.name);
            let values = Values::parse(&[table], std::slice::from_ref(&line), std::iter::empty());
            assert!(values.is_ok(), "{line}: {values:?}");
        }
    }
}

#[test]
fn both_spellings_and_both_generations_of_names_are_read() {
    let values = parse(
        MASTER,
        &["--slave-ping-timeout=3secs", "--no-hostname_lookup"],
    );
    let values = values.expect("both are Mesos's own");
    assert_eq!(
        values.duration("agent_ping_timeout"),
        Some(std::time::Duration::from_secs(3))
    );
    assert!(!values.bool("hostname_lookup"));
}

#[test]
fn the_command_line_wins_over_the_environment() {
    let environment = [
        ("MESOS_PORT", "1"),
        ("MESOS_CLUSTER", "c"),
        ("MESOS_SANDBOX", "/x"),
        ("PATH", "/bin"),
    ];
    let environment = environment
        .into_iter()
        .map(|(n, v)| (n.to_owned(), v.to_owned()));
    let values = Values::parse(&[MASTER], &["--port=2".into()], environment).expect("valid");
    assert_eq!(
        (values.count("port"), values.text("cluster")),
        (Some(2), Some("c"))
    );
}

#[test]
fn a_value_may_be_in_a_file() {
    let file = std::env::temp_dir().join(format!("meseta-flag-{}", std::process::id()));
    std::fs::write(&file, "rack:r1\n").expect("the temporary directory is writable");
    let line = format!("--attributes=file://{}", file.display());
    let values = parse(AGENT, &[&line]);
    std::fs::remove_file(&file).expect("just written");
    assert_eq!(values.expect("valid").text("attributes"), Some("rack:r1"));
    let missing = parse(AGENT, &[&line]).expect_err("the file is gone");
    assert!(
        matches!(
            missing,
            BadFlag::File {
                name: "attributes",
                ..
            }
        ),
        "{missing}"
    );
}

#[test]
fn refusals_say_what_and_why() {
    let said = |line: &[&str]| {
        parse(MASTER, line)
            .map(|_| ())
            .expect_err("refused")
            .to_string()
    };
    assert_eq!(
        said(&["--acls=x"]),
        "--acls is not supported: access lists are not there yet"
    );
    assert_eq!(
        said(&["--agent_ping_timout=1secs"]),
        "unknown flag '--agent_ping_timout' (did you mean '--agent_ping_timeout'?); see --help for the list"
    );
    assert_eq!(said(&["--port=x"]), "--port=x: expecting a whole number");
    assert_eq!(
        said(&["--cluster"]),
        "--cluster needs a value: --cluster=VALUE"
    );
    assert_eq!(
        said(&["stray"]),
        "'stray' is not a flag; flags look like --name=value"
    );
    assert_eq!(
        said(&["--port=1", "--port=2"]),
        "--port was given twice with different values ('1' and '2')"
    );
    assert!(
        parse(MASTER, &["--authenticate_agents=false", "--quorum=1"]).is_ok(),
        "both ask for nothing"
    );
}

#[test]
fn every_kind_refuses_what_it_is_not() {
    for row in MASTER
        .iter()
        .chain(AGENT)
        .filter(|row| row.verdict == Verdict::Honoured)
    {
        if matches!(row.kind, Kind::Text | Kind::Path) {
            continue;
        }
        let table = if MASTER.iter().any(|known| known.name == row.name) {
            MASTER
        } else {
            AGENT
        };
        let line = format!("--{}=neither", row.name);
        assert!(
            matches!(parse(table, &[&line]), Err(BadFlag::Value { .. })),
            "{line}"
        );
    }
}

//! The master's flags (Mesos 1.11 and 1.12), one row each.

use super::Kind::{Bool, Bytes, Count, Duration, Number, Text};
use super::Verdict::{Honoured, Inert, Refused};
use super::{Flag, flag};

const AUTH: &str =
    "authentication is not there yet; bind to loopback or put the port behind a firewall";
const MODULES: &str = "Meseta loads no modules";
const HA: &str = "several masters come with their own issue; one master keeps its registry itself";
const POLICY: &str = "this allocation policy comes with the allocator's own issue";

/// The master's flags.
// One row a line, so that the table reads as one.
#[rustfmt::skip]
pub const MASTER: &[Flag] = &[
    flag("version", Bool, Some("false"), Honoured, "Print the version and exit"),
    flag("hostname", Text, None, Honoured, "Name advertised to others; the machine's own when absent"),
    flag("hostname_lookup", Bool, Some("true"), Inert("the machine's own name is used without asking DNS"), "Look the hostname up"),
    flag("root_submissions", Bool, Some("true"), Refused("refusing frameworks that run as root comes with authorization"), "Whether root may submit frameworks"),
    flag("work_dir", Text, None, Honoured, "Where the registry is kept"),
    flag("registry", Text, Some("replicated_log"), Honoured, "replicated_log (durable) or in_memory"),
    flag("quorum", Count, Some("1"), Refused(HA), "Size of the quorum of the replicated log"),
    flag("zk", Text, None, Refused(HA), "ZooKeeper that elects the leader"),
    flag("zk_session_timeout", Duration, Some("10secs"), Inert("no ZooKeeper is used"), "ZooKeeper session timeout"),
    flag("registry_strict", Bool, Some("true"), Inert("the registry is always strict"), "Act on the registry's content"),
    flag("registry_fetch_timeout", Duration, Some("1mins"), Inert("the registry is local"), "Give up reading the registry after"),
    flag("registry_store_timeout", Duration, Some("20secs"), Inert("a failed write ends the lead at once"), "Give up writing the registry after"),
    flag("log_auto_initialize", Bool, Some("true"), Inert("an empty registry is always begun"), "Begin an empty log"),
    flag("agent_reregister_timeout", Duration, Some("10mins"), Honoured, "How long agents may take to come back").alias(&["slave_reregister_timeout"]),
    flag("recovery_agent_removal_limit", Text, Some("100%"), Honoured, "End rather than remove more of the known agents than this after an election").alias(&["recovery_slave_removal_limit"]),
    flag("agent_removal_rate_limit", Text, None, Refused("rate limits on removals come with several masters"), "Slowest pace of removals").alias(&["slave_removal_rate_limit"]),
    flag("webui_dir", Text, None, Inert("the web page comes later and is part of the binary"), "Where the web page is"),
    flag("whitelist", Text, None, Refused(POLICY), "File of agents to offer"),
    flag("role_sorter", Text, Some("drf"), Refused(POLICY), "How roles are ordered").alias(&["user_sorter"]),
    flag("framework_sorter", Text, Some("drf"), Refused(POLICY), "How frameworks of a role are ordered"),
    flag("allocation_interval", Duration, Some("1secs"), Honoured, "The longest between two rounds of offers, and the shortest before a framework is offered again what it gave back"),
    flag("cluster", Text, None, Honoured, "Name of the cluster, for people"),
    flag("roles", Text, None, Refused("role whitelists come with authorization"), "Roles that frameworks may use"),
    flag("weights", Text, None, Refused(POLICY), "Weights of roles"),
    flag("authenticate_frameworks", Bool, Some("false"), Refused(AUTH), "Only let authenticated frameworks in").alias(&["authenticate"]),
    flag("authenticate_agents", Bool, Some("false"), Refused(AUTH), "Only let authenticated agents in").alias(&["authenticate_slaves"]),
    flag("authentication_v0_timeout", Duration, Some("15secs"), Inert("nothing authenticates"), "Longest an authentication may take"),
    flag("authenticate_http_readwrite", Bool, Some("false"), Refused(AUTH), "Authenticate calls that change").alias(&["authenticate_http"]),
    flag("authenticate_http_readonly", Bool, Some("false"), Refused(AUTH), "Authenticate calls that read"),
    flag("authenticate_http_frameworks", Bool, Some("false"), Refused(AUTH), "Authenticate HTTP frameworks"),
    flag("credentials", Text, None, Refused(AUTH), "File of credentials"),
    flag("acls", Text, None, Refused("access lists are not there yet"), "Who may do what"),
    flag("firewall_rules", Text, None, Refused("closing endpoints comes with authorization"), "Endpoints to close"),
    flag("rate_limits", Text, None, Refused("rate limits on frameworks come later"), "Rate limits on frameworks"),
    flag("max_executors_per_agent", Count, None, Refused(POLICY), "Most executors on an agent").alias(&["max_executors_per_slave"]),
    flag("offer_timeout", Duration, None, Honoured, "Take back offers held longer than this"),
    flag("modules", Text, None, Refused(MODULES), "Modules to load"),
    flag("modules_dir", Text, None, Refused(MODULES), "Directory of modules"),
    flag("authenticators", Text, Some("crammd5"), Refused(AUTH), "How frameworks and agents authenticate"),
    flag("allocator", Text, Some("hierarchical"), Refused(MODULES), "Which allocator"),
    flag("allocator_agent_recovery_factor", Number, None, Refused(POLICY), "Share of agents to wait for"),
    flag("allocator_recovery_timeout", Duration, None, Refused(POLICY), "Longest to wait for agents"),
    flag("fair_sharing_excluded_resource_names", Text, None, Refused(POLICY), "Resources that do not count in shares"),
    flag("filter_gpu_resources", Bool, Some("true"), Refused("GPU machines are always kept for those who ask"), "Keep GPU machines for those who ask"),
    flag("min_allocatable_resources", Text, Some("cpus:0.01|mem:32"), Refused(POLICY), "The least an offer holds"),
    flag("hooks", Text, None, Refused(MODULES), "Hooks to call"),
    flag("agent_ping_timeout", Duration, Some("15secs"), Honoured, "How long an agent may take to answer a ping").alias(&["slave_ping_timeout"]),
    flag("max_agent_ping_timeouts", Count, Some("5"), Honoured, "Pings missed in a row that make an agent unreachable").alias(&["max_slave_ping_timeouts"]),
    flag("authorizers", Text, Some("local"), Refused(MODULES), "Who decides what is allowed"),
    flag("http_authenticators", Text, Some("basic"), Refused(AUTH), "How HTTP callers authenticate"),
    flag("http_framework_authenticators", Text, None, Refused(AUTH), "How HTTP frameworks authenticate"),
    flag("max_operator_event_stream_subscribers", Count, Some("1000"), Refused("the limit is fixed at 1000"), "Most operator event streams"),
    flag("max_completed_frameworks", Count, Some("50"), Honoured, "Completed frameworks to remember"),
    flag("max_completed_tasks_per_framework", Count, Some("1000"), Honoured, "Completed tasks to remember, each framework"),
    flag("max_unreachable_tasks_per_framework", Count, Some("1000"), Honoured, "Unreachable tasks to remember, each framework"),
    flag("master_contender", Text, None, Refused(MODULES), "Who stands for election"),
    flag("master_detector", Text, None, Refused(MODULES), "Who finds the leader"),
    flag("registry_gc_interval", Duration, Some("15mins"), Honoured, "How often old agents are dropped from the registry"),
    flag("registry_max_agent_age", Duration, Some("2weeks"), Honoured, "How long unreachable and gone agents are remembered"),
    flag("registry_max_agent_count", Count, Some("102400"), Honoured, "How many unreachable and gone agents are remembered"),
    flag("ip", Text, Some("127.0.0.1"), Honoured, "Address to listen on; loopback unless named, since nothing authenticates"),
    flag("port", Count, Some("5050"), Honoured, "Port to listen on"),
    flag("advertise_ip", Text, None, Honoured, "Address told to others"),
    flag("advertise_port", Count, None, Honoured, "Port told to others"),
    flag("memory_profiling", Bool, Some("false"), Refused("there is no heap profiler in the binary"), "Serve heap profiles"),
    flag("ip_discovery_command", Text, None, Refused("name the address with --ip"), "Command that prints the address"),
    flag("require_agent_domain", Bool, Some("false"), Refused("fault domains come later"), "Refuse agents without a domain"),
    flag("publish_per_framework_metrics", Bool, Some("true"), Inert("metrics of single frameworks come with the whole API"), "Metrics of each framework"),
    flag("domain", Text, None, Refused("fault domains come later"), "Region and zone of this master"),
    flag("offer_constraints_re2_max_mem", Bytes, None, Refused(POLICY), "Memory bound of a constraint's pattern"),
    flag("offer_constraints_re2_max_program_size", Count, None, Refused(POLICY), "Size bound of a constraint's pattern"),
];

//! The metrics of Mesos that are missing here, and what they belong to.

/// Names, or what they begin with, of Mesos's metrics that measure something Meseta does not do yet, each
/// with the feature that brings it. A test keeps the list honest: every metric of Mesos is either shown
/// or matched here, and every row matches some that are not shown.
pub const LATER: &[(&str, &str)] = &[
    ("allocator/mesos/quota/roles//", "quota and weights"),
    ("containerizer/fetcher/cache_size_", "fetching"),
    ("containerizer/mesos/provisioner/", "images and volumes"),
    ("resource_provider_manager/", "storage providers"),
];

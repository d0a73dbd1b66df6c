//! The container files keep up with the table of identities, and publish nothing beyond loopback.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use tidemill_contracts::access::Identity;

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)).unwrap()
}

/// Lines of a service, without comments.
fn service(compose: &str, name: &str) -> Vec<String> {
    let head = format!("  {name}:");
    let lines = compose.lines().skip_while(|line| *line != head).skip(1);
    let body = lines.take_while(|line| line.is_empty() || line.starts_with("    ") || line.starts_with("  #"));
    body.filter(|line| !line.trim_start().starts_with('#')).map(str::to_owned).collect()
}

#[test]
fn every_identity_has_a_volume_of_its_own_and_every_role_a_container() {
    let (compose, image) = (read("docker-compose.yml"), read("infra/docker/Dockerfile"));
    for identity in Identity::ALL {
        let name = identity.name();
        assert!(service(&compose, "secrets").contains(&format!("      - secrets-{name}:/secrets/{name}")), "{name}");
        assert!(compose.contains(&format!("\n  secrets-{name}: {{}}\n")), "{name} is no volume");
        assert!(image.contains(&format!("secrets/{name}")), "{name} has no folder in the image");
        if matches!(identity, Identity::Operator | Identity::Producer) {
            continue;
        }
        let body = service(&compose, name).join("\n");
        assert!(body.contains(&format!("command: [run, {name}]")), "{name} does not run");
        let mounted: Vec<&str> = body.split("secrets-").skip(1).filter_map(|rest| rest.split(':').next()).collect();
        assert_eq!(mounted, [name], "a role sees its own keys and no others");
        assert!(body.contains(":/run/secrets/tidemill:ro") && body.contains("mem_limit:"), "{name}");
    }
}

#[test]
fn ports_are_published_on_loopback_and_those_of_the_filer_nowhere() {
    let compose = read("docker-compose.yml");
    let published: Vec<&str> = compose
        .lines()
        .filter_map(|line| line.trim().strip_prefix("ports: ["))
        .flat_map(|list| list.trim_end_matches(']').split(", "))
        .map(|port| port.trim_matches('"'))
        .collect();
    assert!(published.len() > 8);
    for port in published {
        assert!(port.starts_with("127.0.0.1:"), "{port} is published on more than loopback");
        let inside = port.rsplit(':').next().unwrap();
        assert!(!["8888", "18888", "9333", "19333", "18333"].contains(&inside), "{port}");
    }
    let start = read("infra/seaweedfs/start.sh");
    assert!(start.contains("weed server -dir=/data -ip=127.0.0.1 -ip.bind=127.0.0.1"));
}

#[test]
fn every_container_is_locked_down() {
    let compose = read("docker-compose.yml");
    let services = ["secrets", "nats", "seaweedfs", "jaeger", "prometheus", "grafana"];
    let role: Vec<String> = compose.lines().skip_while(|l| *l != "x-role: &role").map(str::to_owned).collect();
    let bodies = services.map(|name| service(&compose, name)).into_iter().chain([role]);
    for body in bodies {
        let text = body.join("\n");
        for wanted in ["user:", "read_only: true", "cap_drop: [ALL]", "no-new-privileges:true"] {
            assert!(text.contains(wanted), "{wanted} is missing in\n{text}");
        }
        assert!(!text.contains("privileged: true") && !text.contains("docker.sock"), "{text}");
    }
}

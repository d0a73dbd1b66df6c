//! Which addresses may be asked: public ones, and those inside that the project allows.
//!
//! A project file names an address; what answers there may redirect, or its name may change its address between a
//! check and a connection. So the check is made where connections are made, on every address that a name resolves to,
//! for every hop.

use crate::error::{Error, Result};
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;

/// Addresses of a name.
type Found = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Asks the system for the addresses of a name.
fn by_system(name: String) -> Found {
    Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect()) })
}

/// A network such as `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    length: u8,
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, length) = text.split_once('/').map_or((text, None), |(a, l)| (a, Some(l)));
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let length = length.map_or(Some(most), |length| length.parse().ok()).filter(|length| *length <= most)?;
        Some(Self { address, length })
    }

    fn contains(self, address: IpAddr) -> bool {
        let same = |a: u128, b: u128, bits: u32| {
            let shift = bits - u32::from(self.length);
            a.checked_shr(shift).unwrap_or(0) == b.checked_shr(shift).unwrap_or(0)
        };
        match (self.address, address) {
            (IpAddr::V4(a), IpAddr::V4(b)) => same(u128::from(a.to_bits()), u128::from(b.to_bits()), 32),
            (IpAddr::V6(a), IpAddr::V6(b)) => same(a.to_bits(), b.to_bits(), 128),
            _ => false,
        }
    }
}

/// The rule of one origin.
#[derive(Clone, Debug)]
pub(crate) struct Guard {
    allowed: Vec<Network>,
    /// How names become addresses, for the check and for connections.
    lookup: fn(String) -> Found,
}

impl Guard {
    /// A guard that lets public addresses pass and these networks.
    pub(crate) fn new(allow: &[String]) -> Self {
        Self { allowed: allow.iter().filter_map(|text| Network::parse(text)).collect(), lookup: by_system }
    }

    /// Whether an address may be asked.
    pub(crate) fn lets(&self, address: IpAddr) -> bool {
        // An IPv4 address in the clothes of IPv6 is judged as what it is.
        let plain = address.to_canonical();
        is_public(plain) || self.allowed.iter().any(|network| network.contains(plain) || network.contains(address))
    }

    /// Refuses a URL whose scheme or host must not be asked; names are resolved.
    pub(crate) async fn check(&self, url: &Url) -> Result<()> {
        let refused = |reason: String| Error::Address { url: shown(url), reason };
        if !matches!(url.scheme(), "http" | "https") {
            return Err(refused(format!("the scheme {} is not asked, only http and https", url.scheme())));
        }
        let host = url.host_str().ok_or_else(|| refused("there is no host".to_owned()))?;
        let literal = host.trim_start_matches('[').trim_end_matches(']');
        let addresses: Vec<IpAddr> = match literal.parse() {
            Ok(address) => vec![address],
            Err(_) => {
                let away = |e: io::Error| Error::Away { url: shown(url), reason: e.to_string(), wait: None };
                (self.lookup)(host.to_owned()).await.map_err(away)?
            }
        };
        if addresses.iter().any(|address| self.lets(*address)) {
            return Ok(());
        }
        let inside = addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        Err(refused(format!("{host} is {inside}, not a public address; to allow it, name it in from.http.allow")))
    }
}

/// Resolves names for connections, and lets only allowed addresses through.
#[derive(Clone, Debug)]
pub(crate) struct GuardedResolver(pub(crate) Guard);

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.0.clone();
        Box::pin(async move {
            let found = (guard.lookup)(name.as_str().to_owned()).await?;
            let allowed = found.into_iter().filter(|address| guard.lets(*address));
            let allowed: Vec<SocketAddr> = allowed.map(|address| SocketAddr::new(address, 0)).collect();
            if allowed.is_empty() {
                return Err(format!("{} has no address that may be asked", name.as_str()).into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// Whether an address is one of the open Internet.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || address.is_multicast()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (b == 18 || b == 19));
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    let embedded = |at: usize| {
        let octets = address.octets();
        let four: [u8; 4] = octets.get(at..at + 4)?.try_into().ok()?;
        Some(Ipv4Addr::from(four))
    };
    // Global unicast is 2000::/3; what lies outside is local, reserved or not routed.
    if a & 0xe000 != 0x2000 {
        // NAT64 carries an IPv4 address at its end.
        let nat64 = a == 0x64 && b == 0xff9b;
        return nat64 && embedded(12).is_some_and(is_public_v4);
    }
    match (a, b) {
        (0x2001, 0xdb8 | 0) => false,
        (0x3fff, _) => false,
        // 6to4 carries an IPv4 address after its prefix.
        (0x2002, _) => embedded(2).is_some_and(is_public_v4),
        _ => true,
    }
}

/// A URL without user, password, query and fragment, which may hold secrets.
pub(crate) fn shown(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{host}{port}{}", url.scheme(), url.path())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::super::client::{Fetcher, Known};
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn public(text: &str) -> bool {
        Guard::new(&[]).lets(text.parse().unwrap())
    }

    #[test]
    fn addresses_inside_are_told_from_those_outside() {
        for inside in [
            "127.0.0.1",
            "127.9.9.9",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "198.18.0.1",
            "192.0.0.8",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001:db8::1",
            "2001::1",
            "::127.0.0.1",
        ] {
            assert!(!public(inside), "{inside}");
        }
        for outside in
            ["93.184.216.34", "8.8.8.8", "172.32.0.1", "2606:2800:220:1::1", "::ffff:8.8.8.8", "64:ff9b::808:808"]
        {
            assert!(public(outside), "{outside}");
        }
    }

    #[test]
    fn a_project_may_allow_networks_inside() {
        let guard = Guard::new(&["10.1.0.0/16".to_owned(), "::1".to_owned(), "127.0.0.1".to_owned()]);
        let lets = |text: &str| guard.lets(text.parse().unwrap());
        assert!(lets("10.1.200.1") && lets("::1") && lets("127.0.0.1") && lets("::ffff:10.1.0.1"));
        assert!(!lets("10.2.0.1") && !lets("127.0.0.2") && !lets("192.168.0.1"));
        assert!(Guard::new(&["0.0.0.0/0".to_owned()]).lets("10.0.0.1".parse().unwrap()));
    }

    #[tokio::test]
    async fn urls_are_judged_by_scheme_and_address_however_it_is_written() {
        let check = |text: &'static str| async move { Guard::new(&[]).check(&Url::parse(text).unwrap()).await };
        for refused in [
            "http://127.0.0.1/",
            "http://localhost/",
            "http://[::1]:80/x?secret=1",
            "http://0x7f.1/",
            "http://2130706433/",
            "http://[::ffff:169.254.169.254]/",
            "ftp://8.8.8.8/",
            "file:///etc/passwd",
        ] {
            let error = check(refused).await.unwrap_err();
            assert!(matches!(error, Error::Address { .. }), "{refused}: {error}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        assert!(check("http://93.184.216.34/").await.is_ok());
    }

    #[tokio::test]
    async fn a_name_that_changes_its_address_behind_the_check_leads_nowhere() {
        /// A public address when the name is checked, one inside when it is connected to.
        fn rebound(_: String) -> Found {
            static ASKED: AtomicUsize = AtomicUsize::new(0);
            let first = ASKED.fetch_add(1, Ordering::Relaxed).is_multiple_of(2);
            let address = if first { "93.184.216.34" } else { "127.0.0.1" };
            Box::pin(async move { Ok(vec![address.parse().unwrap()]) })
        }
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://rebound.test:{}/", listener.local_addr().unwrap().port());
        let origin = serde_json::json!({"url": url, "attempts": 1, "robots": "ignore", "timeout": "5s"});
        let origin = serde_json::from_value(origin).unwrap();
        let url = Url::parse(&url).unwrap();
        let guard = Guard { lookup: rebound, ..Guard::new(&[]) };
        let refused = Fetcher::guarded(&origin, guard).unwrap().fetch(&url, &Known::default()).await.unwrap_err();
        assert!(refused.to_string().contains("no address that may be asked"), "{refused}");
        // The same name is connected to where it is allowed to lead, so the refusal was the resolver's.
        let allowed = Guard { lookup: rebound, ..Guard::new(&["127.0.0.1".to_owned()]) };
        let mut fetcher = Fetcher::guarded(&origin, allowed).unwrap();
        let known = Known::default();
        let connected = tokio::select! {
            answer = fetcher.fetch(&url, &known) => panic!("nobody answered: {answer:?}"),
            connected = listener.accept() => connected,
        };
        assert!(connected.is_ok());
    }
}

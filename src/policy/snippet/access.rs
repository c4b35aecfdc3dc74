//! `allow`, `deny` and `limit_except` (ngx_http_access_module).

use std::net::IpAddr;

use http::Method;

/// A network, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Net {
    address: IpAddr,
    bits: u8,
}

impl Net {
    /// `192.0.2.0/24`, `2001:db8::1`.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/').map_or((text, None), |(a, b)| (a, Some(b)));
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Some(most), |bits| bits.parse().ok().filter(|bits| *bits <= most))?;
        Some(Self { address, bits })
    }

    fn contains(self, other: IpAddr) -> bool {
        let same = |a: u128, b: u128, width: u32| {
            let shift = width - u32::from(self.bits);
            a.checked_shr(shift).unwrap_or(0) == b.checked_shr(shift).unwrap_or(0)
        };
        match (self.address, other) {
            (IpAddr::V4(a), IpAddr::V4(b)) => same(a.to_bits().into(), b.to_bits().into(), 32),
            (IpAddr::V6(a), IpAddr::V6(b)) => same(a.to_bits(), b.to_bits(), 128),
            _ => false,
        }
    }
}

/// `None` is all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rule {
    pub allows: bool,
    pub net: Option<Net>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Access {
    pub rules: Vec<Rule>,
    pub limit_except: Option<LimitExcept>,
}

/// What holds for all methods but these.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LimitExcept {
    pub methods: Vec<Method>,
    pub rules: Vec<Rule>,
}

impl Access {
    /// Nobody is kept out by no rule.
    pub fn allows(&self, client: IpAddr, method: &Method) -> bool {
        self.decide(client, method).unwrap_or(true)
    }

    /// The first rule that has the address decides; `None`: no rule has it.
    pub fn decide(&self, client: IpAddr, method: &Method) -> Option<bool> {
        // GET brings HEAD.
        let asked = if *method == Method::HEAD { &Method::GET } else { method };
        let limited = self.limit_except.as_ref().filter(|l| !l.methods.contains(method) && !l.methods.contains(asked));
        let rules =
            limited.map_or(&self.rules, |limited| if limited.rules.is_empty() { &self.rules } else { &limited.rules });
        let client = client.to_canonical();
        rules.iter().find(|rule| rule.net.is_none_or(|net| net.contains(client))).map(|rule| rule.allows)
    }
}

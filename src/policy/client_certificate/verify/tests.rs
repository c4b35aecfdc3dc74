//! Chains, authorities and revocation lists made on the spot.

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber,
    date_time_ymd,
};
use rustls::crypto::aws_lc_rs;

use super::*;

type Issuer = CertifiedIssuer<'static, KeyPair>;

fn params(name: &str, authority: bool) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    if authority {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    }
    params
}

fn key() -> KeyPair {
    KeyPair::generate().unwrap()
}

fn root(name: &str) -> Issuer {
    Issuer::self_signed(params(name, true), key()).unwrap()
}

fn signed(params: CertificateParams, by: &Issuer) -> CertificateDer<'static> {
    params.signed_by(&key(), by).unwrap().der().clone()
}

fn authorities(list: &[&Issuer]) -> Authorities {
    Authorities::new(list.iter().map(|issuer| issuer.der().clone()).collect(), Vec::new()).unwrap()
}

fn judge(authorities: &Authorities, chain: &[CertificateDer<'_>], depth: u32) -> Result<(), Failure> {
    let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms;
    authorities.verify(chain, depth, UnixTime::now(), algorithms.all)
}

#[test]
fn chains() {
    let (ours, other) = (root("Ours"), root("Other"));
    let one = Issuer::signed_by(params("One", true), key(), &ours).unwrap();
    let two = Issuer::signed_by(params("Two", true), key(), &one).unwrap();
    let good = signed(params("good", false), &ours);
    let deep = signed(params("deep", false), &one);
    let deeper = signed(params("deeper", false), &two);
    let foreign = signed(params("foreign", false), &other);
    let of = |times: [(i32, u8, u8); 2], by| {
        let mut params = params("times", false);
        params.not_before = date_time_ymd(times[0].0, times[0].1, times[0].2);
        params.not_after = date_time_ymd(times[1].0, times[1].1, times[1].2);
        signed(params, by)
    };
    let (past, future) = ([(2001, 1, 1), (2002, 1, 1)], [(2101, 1, 1), (2102, 1, 1)]);
    let mut server = params("server", false);
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let mut client = params("client", false);
    client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let own = params("own", false).self_signed(&key()).unwrap().der().clone();
    let authority = root("Ours but another key");
    let der = |issuer: &Issuer| issuer.der().clone();
    let rows = [
        ("good", vec![good.clone()], 1, Ok(())),
        ("for clients", vec![signed(client, &ours)], 1, Ok(())),
        ("for servers", vec![signed(server, &ours)], 1, Err(Failure::Purpose)),
        ("one between", vec![deep.clone(), der(&one)], 1, Ok(())),
        ("one between that is not sent", vec![deep], 1, Err(Failure::UnknownIssuerOfLeaf)),
        ("two between", vec![deeper.clone(), der(&two), der(&one)], 1, Err(Failure::TooLong)),
        ("two between in any order", vec![deeper, der(&one), der(&two)], 2, Ok(())),
        ("foreign", vec![foreign.clone()], 1, Err(Failure::UnknownIssuerOfLeaf)),
        ("foreign with its root", vec![foreign.clone(), der(&other)], 1, Err(Failure::SelfSignedInChain)),
        ("foreign with another's root", vec![foreign, der(&ours)], 1, Err(Failure::UnknownIssuerOfLeaf)),
        ("its own", vec![own], 1, Err(Failure::SelfSigned)),
        ("its own, an authority", vec![der(&authority)], 1, Err(Failure::SelfSigned)),
        ("expired", vec![of(past, &ours)], 1, Err(Failure::Expired)),
        ("not yet", vec![of(future, &ours)], 1, Err(Failure::NotYetValid)),
        ("foreign and expired", vec![of(past, &other)], 1, Err(Failure::Expired)),
        ("no certificate", vec![CertificateDer::from(vec![1, 2, 3])], 1, Err(Failure::Malformed)),
        ("nothing", vec![], 1, Err(Failure::Malformed)),
    ];
    let trusted = authorities(&[&ours]);
    for (what, chain, depth, expected) in rows {
        assert_eq!(judge(&trusted, &chain, depth), expected, "{what}");
    }
}

#[test]
fn who_is_trusted() {
    let ours = root("Ours");
    let one = Issuer::signed_by(params("One", true), key(), &ours).unwrap();
    let deep = signed(params("deep", false), &one);
    let own = params("own", false).self_signed(&key()).unwrap().der().clone();
    // What another issued helps to build a chain and ends none.
    assert_eq!(judge(&authorities(&[&ours, &one]), std::slice::from_ref(&deep), 1), Ok(()));
    assert_eq!(judge(&authorities(&[&ours, &one]), std::slice::from_ref(&deep), 0), Err(Failure::TooLong));
    assert!(judge(&authorities(&[&one]), std::slice::from_ref(&deep), 1).is_err());
    // One that is listed itself, and no other of its name.
    let listed = Authorities::new(vec![own.clone()], Vec::new()).unwrap();
    let same_name = params("own", false).self_signed(&key()).unwrap().der().clone();
    assert_eq!(judge(&listed, &[own], 1), Ok(()));
    assert!(judge(&listed, &[same_name], 1).is_err());
    assert!(judge(&Authorities::default(), &[deep], 1).is_err());
}

#[test]
fn revocation_lists() {
    let ours = root("Ours");
    let one = Issuer::signed_by(params("One", true), key(), &ours).unwrap();
    let number = |n: u64| {
        let mut params = params("numbered", false);
        params.serial_number = Some(SerialNumber::from(n));
        params
    };
    let list = |next: i32| {
        let revoked = RevokedCertParams {
            serial_number: SerialNumber::from(7),
            revocation_time: date_time_ymd(2024, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2024, 1, 1),
            next_update: date_time_ymd(next, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: vec![revoked],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&ours).unwrap().der().clone()
    };
    let with = |next| Authorities::new(vec![ours.der().clone()], vec![list(next)]).unwrap();
    let deep = vec![signed(params("deep", false), &one), one.der().clone()];
    let rows = [
        ("not revoked", 2100, vec![signed(number(8), &ours)], Ok(())),
        ("revoked", 2100, vec![signed(number(7), &ours)], Err(Failure::Revoked)),
        ("the list is out of date", 2025, vec![signed(number(8), &ours)], Err(Failure::ListExpired)),
        ("no list of its issuer", 2100, deep, Err(Failure::NoList)),
    ];
    for (what, next, chain, expected) in rows {
        assert_eq!(judge(&with(next), &chain, 1), expected, "{what}");
    }
    assert_ne!(with(2100), authorities(&[&ours]));
    assert_eq!(with(2100).subjects(), authorities(&[&ours]).subjects());
}

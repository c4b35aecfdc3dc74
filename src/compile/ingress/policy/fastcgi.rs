//! `fastcgi-index` and `fastcgi-params-configmap` of a location whose endpoints speak FastCGI.

use std::sync::Arc;

use super::super::{Input, Owned};
use crate::policy::fastcgi::FastCgi;
use crate::policy::template::Template;
use crate::policy::upstream::Protocol;
use crate::snapshot::{ConfigMap, ObjectKey};

/// Without the parameters that it names a script would be another one, so a ConfigMap that cannot be used denies the
/// location.
pub fn resolve(input: Input<'_>, owner: &Owned, protocol: Protocol) -> Result<Option<Arc<FastCgi>>, String> {
    if protocol != Protocol::Fcgi {
        return Ok(None);
    }
    let a = owner.annotations();
    let index = a.fastcgi_index.as_ref().map(|index| index.0.as_str().into());
    let params = a.fastcgi_params_configmap.as_ref().map_or(Ok(Vec::new()), |name| {
        let namespace = &owner.key.namespace;
        let named = ObjectKey::parse(&name.0, namespace).ok_or_else(|| format!("{:?} names no ConfigMap", name.0))?;
        if named.namespace != *namespace {
            return Err(format!("ConfigMap {named} is in another namespace"));
        }
        let map = input.snapshot.config_maps.get(&named).ok_or_else(|| format!("ConfigMap {named} does not exist"))?;
        params(map).map_err(|reason| format!("ConfigMap {named}: {reason}"))
    })?;
    Ok(Some(Arc::new(FastCgi { index, params })))
}

fn params(map: &ConfigMap) -> Result<Vec<(Arc<str>, Template)>, String> {
    let word = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    map.data
        .iter()
        .map(|(name, text)| {
            if name.is_empty() || !name.chars().all(word) {
                return Err(format!("{name:?} is not a parameter's name of letters, digits and -_."));
            }
            if !text.chars().all(|c| word(c) || "${}/".contains(c)) {
                return Err(format!("{name}: the value has other characters than letters, digits and -_.${{}}/"));
            }
            let template = Template::parse(text).map_err(|error| format!("{name}: {error}"))?;
            Ok((name.as_str().into(), template))
        })
        .collect()
}

//! An object in a cache.

use crate::runtime::unreadable::ObjectName;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use std::borrow::Cow;
use std::sync::Arc;

/// An object in a cache, which is shared and not copied: kube's caches copy what they store.
#[derive(Debug)]
pub struct Cached<K>(Arc<K>);

impl<K> Cached<K> {
    /// The object.
    pub fn shared(&self) -> Arc<K> {
        Arc::clone(&self.0)
    }
}

impl<K: Resource + Clone> Cached<K> {
    /// This object, or `known` if that is the same version. So a cache that is listed again is not in memory
    /// twice.
    pub fn or_known(self, known: Option<&Self>) -> Self {
        let version = |object: &Self| (object.meta().uid.clone(), object.meta().resource_version.clone());
        let same = known.filter(|known| {
            ObjectName::of(known.meta()) == ObjectName::of(self.meta()) && version(known) == version(&self)
        });
        same.cloned().unwrap_or(self)
    }
}

impl<K> Clone for Cached<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K> From<K> for Cached<K> {
    fn from(object: K) -> Self {
        Self(Arc::new(object))
    }
}

impl<K: Resource + Clone> Resource for Cached<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(dynamic: &Self::DynamicType) -> Cow<'_, str> {
        K::kind(dynamic)
    }

    fn group(dynamic: &Self::DynamicType) -> Cow<'_, str> {
        K::group(dynamic)
    }

    fn version(dynamic: &Self::DynamicType) -> Cow<'_, str> {
        K::version(dynamic)
    }

    fn plural(dynamic: &Self::DynamicType) -> Cow<'_, str> {
        K::plural(dynamic)
    }

    fn meta(&self) -> &ObjectMeta {
        self.0.meta()
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        Arc::make_mut(&mut self.0).meta_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::Secret;

    #[test]
    fn review_m2_the_same_version_of_an_object_is_in_memory_once() {
        let secret = |uid: &str, version: &str| {
            let mut secret = Secret::default();
            secret.metadata.name = Some("s".into());
            secret.metadata.uid = Some(uid.into());
            secret.metadata.resource_version = Some(version.into());
            Cached::from(secret)
        };
        let known = secret("u", "1");
        let is_known = |listed: Cached<Secret>| Arc::ptr_eq(&listed.or_known(Some(&known)).0, &known.0);
        assert!(is_known(secret("u", "1")));
        assert!(!is_known(secret("u", "2")));
        assert!(!is_known(secret("v", "1")));
        let mut renamed = Secret::default();
        renamed.metadata.clone_from(secret("u", "1").meta());
        renamed.metadata.name = Some("t".into());
        assert!(!is_known(renamed.into()));
        assert_eq!(secret("u", "1").or_known(None).meta().uid.as_deref(), Some("u"));
    }
}

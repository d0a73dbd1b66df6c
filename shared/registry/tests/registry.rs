//! Versions and aliases on a real bus.
#![allow(clippy::unwrap_used, reason = "tests")]

use tidemill_registry::{Error, MoveKind, MoveRequest, NewVersion, Registry};
use tidemill_testkit::Nats;
use tidemill_types::{Digest, Millis, ProjectName};

fn model(n: u8) -> NewVersion {
    let run = format!("run-{n}").parse().unwrap();
    NewVersion { digest: Digest::of(&[n]), run, cycle: None, created: Millis(i64::from(n)) }
}

fn request(at: i64) -> MoveRequest {
    MoveRequest { by: "evaluation".to_owned(), reason: "gate passed".to_owned(), at: Millis(at), traceparent: None }
}

async fn with_three_models(nats: &Nats) -> (Registry, ProjectName, [Digest; 3]) {
    let registry = Registry::open(&nats.bus().await.unwrap()).await.unwrap();
    let project: ProjectName = "flights".parse().unwrap();
    for n in 1..=3 {
        assert_eq!(registry.register(&project, &model(n)).await.unwrap().version, u64::from(n));
    }
    (registry, project, [1, 2, 3].map(|n| Digest::of(&[n])))
}

#[tokio::test]
async fn versions_are_numbered_once_whoever_registers() {
    let nats = Nats::start().await.unwrap();
    let (registry, project, _) = with_three_models(&nats).await;
    assert_eq!(registry.register(&project, &model(2)).await.unwrap().version, 2);
    let (four, five) = (model(4), model(5));
    let racing = tokio::join!(registry.register(&project, &four), registry.register(&project, &five));
    let mut numbers = [racing.0.unwrap().version, racing.1.unwrap().version];
    numbers.sort_unstable();
    assert_eq!(numbers, [4, 5]);
    let versions: Vec<u64> = registry.versions(&project).await.unwrap().iter().map(|entry| entry.version).collect();
    assert_eq!(versions, [1, 2, 3, 4, 5]);
    assert_eq!(registry.version(&project, 3).await.unwrap().unwrap().digest, model(3).digest);
    assert_eq!(registry.version(&project, 9).await.unwrap(), None);
    let other = "flights2".parse().unwrap();
    assert_eq!(registry.register(&other, &model(1)).await.unwrap().version, 1);
}

#[tokio::test]
async fn an_alias_moves_only_from_where_the_caller_believes_it_is() {
    let nats = Nats::start().await.unwrap();
    let (registry, project, [one, two, three]) = with_three_models(&nats).await;
    let set = |to, expected| registry.set_alias(&project, "champion", to, expected, request(10));
    let first = set(&one, None).await.unwrap();
    assert_eq!((first.from, first.to, first.version), (None, one.clone(), 1));
    assert!(matches!(set(&two, None).await, Err(Error::AliasMoved { .. })));
    assert!(matches!(set(&two, Some(&three)).await, Err(Error::AliasMoved { .. })));
    // Two callers who both saw `one`: one wins.
    let (a, b) = tokio::join!(set(&two, Some(&one)), set(&three, Some(&one)));
    assert_eq!(usize::from(a.is_ok()) + usize::from(b.is_ok()), 1);
    assert!(matches!(a.err().or(b.err()), Some(Error::AliasMoved { .. })));
    assert!(matches!(set(&Digest::of(b"?"), Some(&one)).await, Err(Error::UnknownVersion { .. })));
    let bad = registry.set_alias(&project, "a.b", &one, None, request(0)).await;
    assert!(matches!(bad, Err(Error::AliasName(_))));
    assert_eq!(registry.aliases(&project).await.unwrap().len(), 1);
}

#[tokio::test]
async fn rollbacks_go_back_further_each_time() {
    let nats = Nats::start().await.unwrap();
    let (registry, project, [one, two, three]) = with_three_models(&nats).await;
    let mut current = None;
    for (at, digest) in [&one, &two, &three].into_iter().enumerate() {
        let at = i64::try_from(at).unwrap();
        registry.set_alias(&project, "champion", digest, current, request(at)).await.unwrap();
        current = Some(digest);
    }
    let back = |from| registry.rollback(&project, "champion", from, request(20));
    let made = back(&three).await.unwrap();
    assert_eq!((made.kind, made.to, made.version), (MoveKind::Rollback, two.clone(), 2));
    assert!(matches!(back(&three).await, Err(Error::AliasMoved { .. })));
    assert_eq!(back(&two).await.unwrap().to, one);
    assert!(matches!(back(&one).await, Err(Error::NoPrevious { .. })));
    let state = registry.alias(&project, "champion").await.unwrap().unwrap();
    assert_eq!((state.entry.digest, state.entry.since), (one, Millis(20)));
    let history = registry.history(&project, "champion").await.unwrap();
    let targets: Vec<u64> = history.iter().map(|made| made.version).collect();
    assert_eq!(targets, [1, 2, 3, 2, 1]);
    let absent = registry.rollback(&project, "challenger", &two, request(0)).await;
    assert!(matches!(absent, Err(Error::UnknownAlias { .. })));
}

#[tokio::test]
async fn a_watcher_sees_the_alias_now_and_every_move() {
    use futures::StreamExt;
    let nats = Nats::start().await.unwrap();
    let (registry, project, [one, two, _]) = with_three_models(&nats).await;
    registry.set_alias(&project, "champion", &one, None, request(1)).await.unwrap();
    let mut watch = registry.watch_alias(&project, "champion").await.unwrap();
    assert_eq!(watch.next().await.unwrap().unwrap().entry.digest, one);
    registry.set_alias(&project, "challenger", &two, None, request(2)).await.unwrap();
    registry.set_alias(&project, "champion", &two, Some(&one), request(3)).await.unwrap();
    let second = watch.next().await.unwrap().unwrap();
    assert_eq!((second.entry.digest, second.entry.since), (two, Millis(3)));
}

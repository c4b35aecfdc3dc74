//! Compiling snapshots and looking routes up: how long it takes, and what a route costs in memory.
//!
//! `cargo bench --bench table` measures; `cargo bench --bench table -- --test` runs everything once, small.
//! `docs/benchmarks.md` has the figures.

mod memory;
mod world;

use std::sync::Arc;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use portcullis::compile::{Memo, Options, compile};
use portcullis::snapshot::{Object, Snapshot};
use portcullis::source::manifest::{self, Format};
use portcullis::table::text;

use world::{Shape, World};

#[global_allocator]
static ALLOCATOR: memory::Counting<tikv_jemallocator::Jemalloc> = memory::Counting(tikv_jemallocator::Jemalloc);

#[allow(clippy::print_stdout, reason = "the figures are what a bench is for")]
fn main() {
    divan::main();
    if std::env::args().any(|argument| argument == "--list") {
        return;
    }
    println!("\nbytes a route");
    for world in every(&[Shape::Plain, Shape::Paths, Shape::Regex, Shape::OneHost], &[10, 1_000, 10_000]) {
        println!("  {world}: {}", memory::bytes_per_route(world));
    }
}

/// Whether this is a smoke run, as divan decides it: large worlds take minutes when nothing is optimised.
fn is_smoke() -> bool {
    let mut arguments = std::env::args();
    arguments.any(|a| a == "--test") || !std::env::args().any(|a| a == "--bench")
}

/// The worlds of these shapes and sizes; the smallest size alone in a smoke run.
fn every(shapes: &[Shape], sizes: &[usize]) -> Vec<World> {
    let sizes = if is_smoke() { sizes.get(..1).unwrap_or_default() } else { sizes };
    shapes.iter().flat_map(|&shape| sizes.iter().map(move |&routes| World { shape, routes })).collect()
}

#[divan::bench_group(max_time = 3, sample_size = 1)]
mod compiling {
    use super::*;

    fn worlds() -> Vec<World> {
        every(&[Shape::Plain, Shape::Paths, Shape::Regex, Shape::OneHost], &[10, 1_000, 10_000])
    }

    #[divan::bench(args = worlds())]
    fn from_nothing(bencher: Bencher<'_, '_>, world: World) {
        let (snapshot, options) = (world.snapshot(), Options::default());
        bencher
            .counter(ItemsCount::new(world.routes))
            .bench_local(|| compile(&snapshot, &options, &mut Memo::default()));
    }

    #[divan::bench(args = worlds())]
    fn nothing_changed(bencher: Bencher<'_, '_>, world: World) {
        let (snapshot, options) = (world.snapshot(), Options::default());
        let mut memo = Memo::default();
        compile(&snapshot, &options, &mut memo);
        bencher.bench_local(|| compile(&snapshot, &options, &mut memo));
    }

    /// Two snapshots that differ in one Ingress take turns.
    #[divan::bench(args = worlds())]
    fn one_changed(bencher: Bencher<'_, '_>, world: World) {
        let options = Options::default();
        let mut now = world.snapshot();
        let mut next: Snapshot = now.clone();
        let mut changed = world.ingress(world.ingresses() / 2);
        let metadata = &mut Arc::make_mut(&mut changed).metadata;
        metadata.annotations.insert("nginx.ingress.kubernetes.io/proxy-body-size".to_owned(), "2m".to_owned());
        next.insert(Object::Ingress(changed));
        let mut memo = Memo::default();
        compile(&now, &options, &mut memo);
        bencher.bench_local(|| {
            std::mem::swap(&mut now, &mut next);
            compile(&now, &options, &mut memo)
        });
    }

    /// The controller renders each table once, to tell whether it changed.
    #[divan::bench(args = every(&[Shape::Plain, Shape::OneHost], &[10, 1_000, 10_000]))]
    fn text_form(bencher: Bencher<'_, '_>, world: World) {
        let compiled = compile(&world.snapshot(), &Options::default(), &mut Memo::default());
        bencher.bench_local(|| text::render(&compiled.table, &compiled.endpoints.sets));
    }

    #[divan::bench(args = every(&[Shape::Plain], &[10, 1_000, 10_000]))]
    fn manifest_yaml(bencher: Bencher<'_, '_>, world: World) {
        let text = world::yaml(world.ingresses());
        let file: Arc<str> = Arc::from("ingresses.yaml");
        bencher
            .counter(ItemsCount::new(world.routes))
            .bench_local(|| manifest::parse(black_box(text.as_bytes()), Format::Yaml, &file).map(|m| m.objects));
    }
}

#[divan::bench_group(max_time = 2)]
mod look_up {
    use std::cell::Cell;

    use portcullis::base::path::normalise;
    use portcullis::table::{Found, Index, RoutingTable};

    use super::*;

    const SIZES: [usize; 4] = [10, 1_000, 10_000, 100_000];

    /// A request, and host and path of the rule that has it.
    struct Question {
        host: String,
        path: String,
        answer: (String, String),
    }

    /// A question that the rule of path number `i` has; `under` makes the request's path of the rule's.
    fn rule(world: World, i: usize, under: impl Fn(&str) -> String) -> Question {
        let each = world.routes / world.ingresses();
        let (host, path) = (world.host(i / each), world.path(i / each, i % each));
        Question { path: under(&path), answer: (host.clone(), path), host }
    }

    /// Rules that are asked for in turn: few enough to stay in the processor's cache, as a busy proxy's do.
    const WARM: usize = 64;
    /// So many that the next one is hardly ever in the cache.
    const COLD: usize = 16_384;

    /// Asks `count` questions in turn, about rules that lie all over the table.
    fn ask(bencher: Bencher<'_, '_>, world: World, count: usize, question: impl Fn(usize) -> Question) {
        let table = compile(&world.snapshot(), &Options::default(), &mut Memo::default()).table;
        // A stride that shares no factor with the size spreads the questions over the whole table.
        let questions: Vec<_> = (0..count).map(|i| question(i * 7919 % world.routes)).collect();
        for Question { host, path, answer } in &questions {
            let found = match find(&table, host, path) {
                Some(Found::Route(index)) => table.route(index).map(|route| (&*route.labels.host, &*route.labels.path)),
                _ => None,
            };
            assert_eq!(found, Some((answer.0.as_str(), answer.1.as_str())), "{host} {path}");
        }
        let turn = Cell::new(0_usize);
        bencher.bench_local(|| {
            let next = turn.get();
            turn.set((next + 1) % count);
            questions.get(next).map(|q| find(&table, black_box(&q.host), black_box(&q.path)))
        });
    }

    fn find(table: &RoutingTable, host: &str, path: &str) -> Option<Found> {
        let path = normalise(path).ok()?;
        Some(table.virtual_host(host)?.paths.find(&path))
    }

    #[divan::bench(args = every(&[Shape::Plain], &SIZES))]
    fn host_and_root(bencher: Bencher<'_, '_>, world: World) {
        ask(bencher, world, WARM, |i| rule(world, i, str::to_owned));
    }

    /// The default server answers with its own root.
    #[divan::bench(args = every(&[Shape::Plain], &SIZES))]
    fn unknown_host(bencher: Bencher<'_, '_>, world: World) {
        ask(bencher, world, WARM, |i| Question {
            host: format!("nobody-{i}.example.test"),
            path: "/".to_owned(),
            answer: ("_".to_owned(), "/".to_owned()),
        });
    }

    #[divan::bench(args = every(&[Shape::Paths, Shape::OneHost], &SIZES))]
    fn path(bencher: Bencher<'_, '_>, world: World) {
        ask(bencher, world, WARM, |i| rule(world, i, str::to_owned));
    }

    #[divan::bench(args = every(&[Shape::Plain, Shape::Paths, Shape::OneHost], &SIZES), min_time = 0.5)]
    fn path_not_in_cache(bencher: Bencher<'_, '_>, world: World) {
        ask(bencher, world, COLD, |i| rule(world, i, str::to_owned));
    }

    #[divan::bench(args = every(&[Shape::Paths, Shape::OneHost], &SIZES))]
    fn deep_path(bencher: Bencher<'_, '_>, world: World) {
        ask(bencher, world, WARM, |i| rule(world, i, |path| format!("{path}/one/two/three/four/five/item.json")));
    }

    /// Dots, doubled slashes and percent signs: the path is decoded and put together again.
    #[divan::bench(args = every(&[Shape::Paths], &SIZES))]
    fn path_with_escapes(bencher: Bencher<'_, '_>, world: World) {
        let escaped = |path: &str| format!("{}/caf%C3%A9%20menu", path.replacen("/team", "/x/../%74eam/", 1));
        ask(bencher, world, WARM, |i| rule(world, i, escaped));
    }

    #[divan::bench(args = every(&[Shape::Regex], &[10, 1_000, 10_000]))]
    fn regex_host(bencher: Bencher<'_, '_>, world: World) {
        ask(bencher, world, WARM, |i| rule(world, i, |path| path.replace("v[0-9]+(/|$)(.*)", "v2/orders/17")));
    }

    /// Beside the rules there are as many wildcard hosts as exact ones.
    #[divan::bench(args = every(&[Shape::Plain], &SIZES))]
    fn wildcard_host(bencher: Bencher<'_, '_>, world: World) {
        let mut hosts = portcullis::table::HostTable::new(0);
        for i in 0..world.routes {
            let index = Index::try_from(i).unwrap_or_default();
            hosts.add_rule(&world.host(i), index);
            hosts.add_rule(&format!("*.{}", world.host(i)), index);
        }
        let names: Vec<_> = (0..WARM).map(|i| format!("any.{}", world.host(i * 7919 % world.routes))).collect();
        let turn = Cell::new(0_usize);
        bencher.bench_local(|| {
            let next = turn.get();
            turn.set((next + 1) % WARM);
            names.get(next).map(|name| hosts.find(black_box(name)))
        });
    }
}

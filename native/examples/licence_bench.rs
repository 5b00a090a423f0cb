//! The native part of the licence bench: presentations of standard input opened in rounds, and beside every round the
//! bare P-256 verifications of the same signed bytes on the same cores. Prints one JSON document.
//!
//! `licence_bench ROUNDS < FILE`: the first line is `KID SPKI-IN-HEX`, every other a presentation.
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::io::Read;
use std::time::Instant;

use _native::licence::batch;
use _native::licence::presentation::parse;
use _native::licence::suite::{Key, Suite};
use rayon::prelude::*;

fn main() {
    let rounds: usize = std::env::args().nth(1).unwrap().parse().unwrap();
    let mut input = String::new();
    std::io::stdin().read_to_string(&mut input).unwrap();
    let mut lines = input.lines();
    let (kid, hex) = lines.next().unwrap().split_once(' ').unwrap();
    let spki: Vec<u8> = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
    let keys = HashMap::from([(kid.to_owned(), Key::read(&spki))]);
    let key = &keys[kid];
    let texts: Vec<&str> = lines.collect();
    let signed: Vec<(&str, Vec<u8>)> = texts
        .iter()
        .map(|text| {
            let parts = parse(text).unwrap();
            (parts.signing_input, parts.signature)
        })
        .collect();
    let mut figures = Vec::new();
    for _ in 0..rounds {
        let started = Instant::now();
        let good = signed
            .par_iter()
            .with_min_len(4)
            .filter(|(message, signature)| key.verify(Suite::Es256, message.as_bytes(), signature).is_ok())
            .count();
        let limit = started.elapsed().as_secs_f64();
        let started = Instant::now();
        let opened = batch::open(&texts, &keys, "dc+sd-jwt");
        let open = started.elapsed().as_secs_f64();
        assert_eq!(good, texts.len());
        assert!(opened.iter().all(Result::is_ok));
        figures.push(format!("{{\"limit_s\":{limit},\"open_s\":{open}}}"));
    }
    println!(
        "{{\"count\":{},\"threads\":{},\"rounds\":[{}]}}",
        texts.len(),
        rayon::current_num_threads(),
        figures.join(",")
    );
}

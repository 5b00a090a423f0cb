//! Answers put together natively: what a message holds, and where the parts of an answer stand. That every answer is the
//! Python code's is compared by `tests/ledger/licences/test_ready.py`.

use std::collections::HashMap;

use _native::licence::b64;
use _native::licence::batch;
use _native::licence::json::Value;
use _native::licence::opening::Opened;
use _native::licence::reading::Said;
use _native::licence::ready::{Frame, alone};
use _native::licence::suite::Suite;

const NOW: i64 = 1_795_320_000_000;

fn frame() -> Frame<Vec<u8>> {
    Frame {
        times: NOW..NOW + 2_000,
        pieces: std::array::from_fn(|number| format!("<{number}>").into_bytes()),
        spans: vec![(1_000..2_000, b"first".to_vec()), (1_000..9_000, b"second".to_vec())],
        until: vec![b"until ".to_vec(), b" and ".to_vec(), b"!".to_vec()],
        endless: b"endless".to_vec(),
        holder: [b"key".to_vec(), b"no key".to_vec()],
        view: NOW - 7,
        bits: 2,
        // Of the places 0 to 3 only the second is valid.
        list: vec![0b1101_0001],
    }
}

fn said() -> Said {
    Said {
        issued_at: Some(2),
        not_before: None,
        expires: Some(4_107_513_599),
        holder: Some([0; 91]),
        index: Some(1),
        identified: true,
    }
}

fn found(claims: &[(&str, Value)]) -> batch::Found {
    let fields = claims.iter().map(|(name, value)| ((*name).into(), value.clone())).collect();
    let opened = Opened { claims: Value::Object(fields), disclosures: vec![], hidden: 12 };
    batch::Found { kid: String::new(), suite: Suite::Es256, opened, presented: 0 }
}

fn answer(frame: &Frame<Vec<u8>>, said: &Said, claims: &[(&str, Value)], now: i64) -> Option<String> {
    let heads = HashMap::from([("a".to_owned(), b"{a:".to_vec()), ("b".to_owned(), b"{b:".to_vec())]);
    frame.answer(&found(claims), said, &heads, now).map(|answer| verdict(&answer).to_owned())
}

/// The second field of an answer whose first is the code.
fn verdict(answer: &[u8]) -> &str {
    let rest = answer.strip_prefix(b"\n\x05valid\x12").unwrap();
    let size = rest.iter().take_while(|byte| **byte >= 0x80).count() + 1;
    let length = rest[..size].iter().rev().fold(0, |sum, byte| (sum << 7) | usize::from(byte & 0x7f));
    assert_eq!(rest.len(), size + length);
    std::str::from_utf8(&rest[size..]).unwrap()
}

#[test]
fn every_part_stands_in_its_place() {
    let text = |text: &str| Value::Text(text.into());
    let claims = [("iss", text("x")), ("a", text("甲")), ("b", text("/"))];
    let ends = "2100-02-28 23:59:59+08:00";
    let expected =
        format!("<0>{}<1>second<2>until {ends} and {ends}!<3>key<4>[{{a:\"甲\"}},{{b:\"/\"}}]<5>12<6>8<7>", NOW + 1);
    assert_eq!(answer(&frame(), &said(), &claims, NOW + 1).unwrap(), expected);
    let endless = Said { issued_at: Some(1), expires: None, holder: None, ..said() };
    let expected = format!("<0>{NOW}<1>first<2>endless<3>no key<4>[]<5>12<6>7<7>");
    assert_eq!(answer(&frame(), &endless, &[], NOW).unwrap(), expected);
    let mut short = frame();
    short.pieces = Default::default();
    assert!(answer(&short, &endless, &[], NOW).unwrap().len() < 0x80);
    short.pieces[7] = vec![b'x'; 0x4000];
    assert!(answer(&short, &endless, &[], NOW).unwrap().ends_with("xx"));
}

#[test]
fn what_is_not_plain_has_no_answer() {
    assert!(answer(&frame(), &said(), &[], NOW).is_some());
    for now in [NOW - 1, NOW + 2_000] {
        assert!(answer(&frame(), &said(), &[], now).is_none());
    }
    let others = [
        Said { issued_at: None, ..said() },
        Said { issued_at: Some(0), ..said() },
        Said { issued_at: Some(9), ..said() },
        Said { not_before: Some(NOW / 1_000 + 1), ..said() },
        Said { expires: Some(NOW / 1_000), ..said() },
        Said { expires: Some(253_402_272_000), ..said() },
        Said { index: None, ..said() },
        Said { index: Some(0), ..said() },
        Said { index: Some(3), ..said() },
        Said { index: Some(4), ..said() },
        Said { index: Some(i64::MAX), ..said() },
        Said { identified: false, ..said() },
    ];
    for said in others {
        assert!(answer(&frame(), &said, &[], NOW).is_none(), "{said:?}");
    }
    for (name, value) in [("c", "x"), ("a", "\""), ("a", "\\"), ("a", "\n")] {
        assert!(answer(&frame(), &said(), &[(name, Value::Text(value.into()))], NOW).is_none());
    }
    assert!(answer(&frame(), &said(), &[("a", Value::Integer(1))], NOW).is_none());
}

#[test]
fn the_days_of_four_hundred_years_follow_each_other() {
    let day = |number: i64| {
        let said = Said { expires: Some((NOW / 1_000 / 86_400 + number) * 86_400 + 57_600), ..said() };
        let told = answer(&frame(), &said, &[], NOW).unwrap();
        let date: Vec<i64> =
            told.split_once("until ").unwrap().1[..10].split('-').map(|part| part.parse().unwrap()).collect();
        assert!(told.contains(" 00:00:00+08:00"));
        <[i64; 3]>::try_from(date).unwrap()
    };
    let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let mut before = day(1);
    assert_eq!(before, [2026, 11, 24]);
    for number in 2..146_200 {
        let [year, month, date] = before;
        let last = match month {
            2 => 28 + i64::from(leap(year)),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        let follows = match (month, date) {
            (12, 31) => [year + 1, 1, 1],
            _ if date == last => [year, month + 1, 1],
            _ => [year, month, date + 1],
        };
        before = day(number);
        assert_eq!(before, follows);
    }
}

#[test]
fn a_licence_alone_is_found_in_its_message() {
    let message = |text: &[u8]| {
        let length = text.len();
        let size = if length < 0x80 {
            vec![length as u8]
        } else if length < 0x4000 {
            vec![length as u8 | 0x80, (length >> 7) as u8]
        } else {
            vec![length as u8 | 0x80, (length >> 7) as u8 | 0x80, (length >> 14) as u8]
        };
        [b"\n".to_vec(), size, text.to_vec()].concat()
    };
    for count in [0, 123, 124, 16_379, 16_380, 65_532] {
        let text = format!("eyJ{}~", b64::encode(&vec![0; count])[..count].to_owned());
        assert_eq!(alone(&message(text.as_bytes())), Some(text.as_str()));
        assert_eq!(alone(&message(text.as_bytes())[..count + 4]), None);
        assert_eq!(alone(&[message(text.as_bytes()), b"\x12\x00".to_vec()].concat()), None);
    }
    assert_eq!(alone(&message(&[&b"eyJ"[..], &[b'a'; 65_533], b"~"].concat())), None);
    for text in [&b"eyJ"[..], b"EL1:~", b"{~", b"eyJ\xc3\xa9~", b"eyJ\xff~", b"~", b""] {
        assert_eq!(alone(&message(text)), None);
    }
    for message in [&b""[..], b"\n", b"\n\x80", b"\n\x80\x80\x80", b"\n\x80\x80\x80\x01", b"\n\xff\xff\xff\xff\xff"] {
        assert_eq!(alone(message), None);
    }
}

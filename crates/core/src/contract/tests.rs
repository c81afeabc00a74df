//! The canonical form that a fingerprint is taken of. What a contract holds is tested through its door, in `tests/`.

use serde_json::{Value, json};

use super::fingerprint;

fn canonical(text: &str) -> String {
    let value: Value = serde_json::from_str(text).unwrap();
    serde_json_canonicalizer::to_string(&value).unwrap()
}

#[test]
fn the_sample_of_rfc_8785_comes_out_as_printed_there() {
    let sample = r#"{
        "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
        "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
        "literals": [null, true, false]
    }"#;
    let printed = "{\"literals\":[null,true,false],\"numbers\":[333333333.3333333,1e+30,4.5,0.002,1e-27],\
                   \"string\":\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}";
    assert_eq!(canonical(sample), printed);
}

#[test]
fn members_are_sorted_by_their_utf_16_units_as_in_rfc_8785() {
    let sample = r#"{
        "\u20ac": "Euro Sign", "\r": "Carriage Return", "\ufb33": "Hebrew Letter Dalet With Dagesh", "1": "One",
        "\ud83d\ude00": "Emoji: Grinning Face", "\u0080": "Control", "\u00f6": "Latin Small Letter O With Diaeresis"
    }"#;
    let sorted = [
        ("\r", "Carriage Return"),
        ("1", "One"),
        ("\u{80}", "Control"),
        ("ö", "Latin Small Letter O With Diaeresis"),
        ("€", "Euro Sign"),
        ("😀", "Emoji: Grinning Face"),
        ("\u{fb33}", "Hebrew Letter Dalet With Dagesh"),
    ];
    let members = sorted.map(|(name, value)| format!("{}:{}", json!(name), json!(value)));
    assert_eq!(canonical(sample), format!("{{{}}}", members.join(",")));
}

#[test]
fn numbers_are_written_as_in_the_table_of_rfc_8785() {
    let table: [(u64, &str); 16] = [
        (0x0000_0000_0000_0000, "0"),
        (0x8000_0000_0000_0000, "0"),
        (0x0000_0000_0000_0001, "5e-324"),
        (0x8000_0000_0000_0001, "-5e-324"),
        (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
        (0x4340_0000_0000_0000, "9007199254740992"),
        (0xc340_0000_0000_0000, "-9007199254740992"),
        (0x4430_0000_0000_0000, "295147905179352830000"),
        (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"),
        (0x44b5_2d02_c7e1_4af6, "1e+23"),
        (0x44b5_2d02_c7e1_4af7, "1.0000000000000001e+23"),
        (0x444b_1ae4_d6e2_ef4e, "999999999999999700000"),
        (0x444b_1ae4_d6e2_ef50, "1e+21"),
        (0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7"),
        (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
        (0x41b3_de43_5555_5553, "333333333.3333332"),
    ];
    for (bits, written) in table {
        let number = json!(f64::from_bits(bits));
        assert_eq!(serde_json_canonicalizer::to_string(&number).unwrap(), written, "{bits:016x}");
    }
}

#[test]
fn a_fingerprint_is_the_hash_of_the_canonical_text() {
    // echo -n '{"a":1,"b":[]}' | sha256sum
    let known = "f87e4099e9be5e75094e0a4f46d3dc18a9c37429314a5a2490fb78d31e7e170c";
    assert_eq!(fingerprint(&json!({ "b": [], "a": 1.0 })), known);
}

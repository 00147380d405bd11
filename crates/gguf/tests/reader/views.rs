//! Metadata, arrays and tensors as views.

use gguf::{Endian, Gguf, Options, Value, ValueType, Writer, corpus::cases};
use quant::GgmlType;

fn of(writer: &Writer) -> Gguf<Vec<u8>> {
    Gguf::parse_with(writer.to_bytes(|_, _| Ok(())).unwrap(), Options::LENIENT).unwrap()
}

#[test]
fn values_are_read_back_bit_for_bit() {
    let nan_bits = f32::from_bits(0x7fc1_2345);
    for endian in [Endian::Little, Endian::Big] {
        let mut writer = Writer::new().with_endian(endian);
        let values = [
            Value::U8(200),
            Value::I8(-100),
            Value::U16(50_000),
            Value::I16(-20_000),
            Value::U32(4_000_000_000),
            Value::I32(-2_000_000_000),
            Value::Bool(true),
            Value::String(b"\xff\x00raw"),
            Value::U64(u64::MAX),
            Value::I64(i64::MIN),
            Value::F64(-0.0),
        ];
        for (i, value) in values.iter().enumerate() {
            writer.key(format!("k{i}"), *value);
        }
        writer.key("nan", Value::F32(nan_bits));
        let file = of(&writer);
        assert_eq!((file.endian(), file.metadata().len()), (endian, values.len() + 1));
        for (i, value) in values.iter().enumerate() {
            assert_eq!(file.metadata().get(format!("k{i}")), Some(*value));
        }
        let Some(Value::F32(nan)) = file.metadata().get("nan") else { panic!("no f32") };
        assert_eq!(nan.to_bits(), nan_bits.to_bits());
        let keys: Vec<_> = (0..values.len()).map(|i| format!("k{i}")).chain(["nan".to_owned()]).collect();
        assert!(file.metadata().iter().map(|(key, _)| key).eq(keys.iter().map(|key| key.as_bytes())));
        assert_eq!(file.metadata().get("k99"), None);
    }
}

#[test]
fn arrays_are_iterated_and_indexed() {
    for endian in [Endian::Little, Endian::Big] {
        let mut writer = Writer::new().with_endian(endian);
        writer.strings("s", &["one", "", "three"]);
        writer.numbers("n", &[1_i16, -2, 3]);
        writer.numbers::<u64>("e", &[]);
        let file = of(&writer);
        let array = |key: &str| file.metadata().get(key).and_then(|value| value.as_array()).unwrap();
        let strings = array("s");
        assert_eq!((strings.ty(), strings.len()), (ValueType::String, 3));
        assert!(strings.strings().eq([&b"one"[..], b"", b"three"]));
        assert_eq!(strings.get(2), Some(Value::from("three")));
        assert_eq!(strings.get(3), None);
        let numbers = array("n");
        assert!(numbers.iter().eq([Value::I16(1), Value::I16(-2), Value::I16(3)]));
        assert_eq!((numbers.get(1), numbers.get(3)), (Some(Value::I16(-2)), None));
        assert_eq!((numbers.as_bytes().len(), numbers.strings().count()), (6, 0));
        assert!(array("e").is_empty());
    }
}

#[test]
fn nested_arrays_are_read_on_request() {
    let case = cases().into_iter().find(|case| case.name == "array-of-arrays").unwrap();
    let file = Gguf::parse_with(case.bytes, Options::LENIENT).unwrap();
    let outer = file.metadata().get("a").unwrap().as_array().unwrap();
    let inner = outer.get(0).unwrap().as_array().unwrap();
    assert_eq!((outer.ty(), outer.len()), (ValueType::Array, 1));
    assert!(inner.iter().eq([Value::U8(1)]));
}

#[test]
fn a_bool_of_2_is_true_and_integers_widen() {
    let case = cases().into_iter().find(|case| case.name == "bool-2").unwrap();
    assert_eq!(Gguf::parse(case.bytes).unwrap().metadata().get("k"), Some(Value::Bool(true)));
    assert_eq!((Value::I8(-1).as_u64(), Value::U16(7).as_u64(), Value::F32(0.5).as_f64()), (None, Some(7), Some(0.5)));
    assert_eq!((Value::from("x").as_str(), Value::String(&[0xff]).as_str()), (Some("x"), None));
}

#[test]
fn tensors_have_shape_type_and_offset() {
    let mut writer = Writer::new();
    writer.key("general.alignment", Value::U32(64));
    writer.tensor("b", &[], GgmlType::F64);
    writer.tensor("a", &[256, 3, 1, 2], GgmlType::Q4_K);
    writer.tensor("none", &[0, 5], GgmlType::F32);
    let bytes = writer.to_bytes(|tensor, out| out.write_all(&vec![tensor.name[0]; tensor.bytes() as usize])).unwrap();
    let file = Gguf::parse(&bytes[..]).unwrap();
    assert_eq!((file.version(), file.alignment(), file.tensor_count()), (3, 64, 3));
    assert!(file.tensors().map(|tensor| tensor.name).eq([&b"b"[..], b"a", b"none"]));
    let a = file.tensor("a").unwrap();
    assert_eq!((a.ty, a.dims(), a.ne()), (GgmlType::Q4_K, &[256, 3, 1, 2][..], [256, 3, 1, 2]));
    assert_eq!((a.elements(), a.bytes()), (1536, 6 * 144));
    assert_eq!((a.start() - file.data_start(), file.data_start() % 64), (64, 0));
    assert!(file.data(&a).unwrap().iter().all(|&byte| byte == b'a'));
    let b = file.tensor("b").unwrap();
    assert_eq!((b.dims().len(), b.elements(), b.bytes()), (0, 1, 8));
    let none = file.tensor("none").unwrap();
    assert_eq!((none.elements(), none.bytes(), file.data(&none).unwrap()), (0, 0, &[][..]));
    assert_eq!(file.tensor("c"), None);
}

/// A tensor of one file cannot be used to read beyond the end of another.
#[test]
fn foreign_tensors_are_refused() {
    let sized = |len: u64| {
        let mut writer = Writer::new();
        writer.tensor("t", &[len], GgmlType::I8);
        Gguf::parse(writer.to_bytes(|_, out| out.write_all(&vec![0; len as usize])).unwrap()).unwrap()
    };
    let (small, large) = (sized(10), sized(1000));
    let error = small.data(&large.tensor("t").unwrap()).unwrap_err();
    assert!(matches!(error, gguf::DataError::ForeignTensor { .. }), "{error}");
}

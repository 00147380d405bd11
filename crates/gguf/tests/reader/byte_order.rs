//! Data of big-endian files.

use gguf::{DataError, Endian, Gguf, Options, Value, Writer, corpus::cases};
use quant::{GgmlType, QuantError, dequantize, first_non_finite_in, swap_bytes};

/// Two rows of two blocks of every type whose bytes can be swapped, in one file; `row` gives little-endian data.
fn model(endian: Endian, row: impl Fn(GgmlType) -> Vec<u8>) -> Gguf<Vec<u8>> {
    let mut writer = Writer::new().with_endian(endian);
    writer.key("general.name", Value::from("both"));
    for ty in swappable() {
        writer.tensor(ty.name(), &[2 * ty.block_len() as u64, 2], ty);
    }
    let bytes = writer.to_bytes(|tensor, out| {
        let mut data = row(tensor.ty);
        if endian == Endian::Big {
            swap_bytes(tensor.ty, &mut data).unwrap();
        }
        out.write_all(&data)
    });
    Gguf::parse_with(bytes.unwrap(), Options::LENIENT).unwrap()
}

fn swappable() -> impl Iterator<Item = GgmlType> {
    GgmlType::ALL.iter().copied().filter(|&ty| swap_bytes(ty, &mut []).is_ok())
}

fn row(ty: GgmlType) -> Vec<u8> {
    let mut random = proof::input::Random::new(ty.id().into());
    (0..4 * ty.block_bytes()).map(|_| random.bits() as u8).collect()
}

fn read(file: &Gguf<Vec<u8>>, ty: GgmlType) -> Vec<u8> {
    let tensor = file.tensor(ty.name()).unwrap();
    let mut out = vec![0x55; tensor.bytes() as usize];
    file.read_data(&tensor, &mut out).unwrap();
    out
}

#[test]
fn both_orders_read_the_same() {
    let (little, big) = (model(Endian::Little, row), model(Endian::Big, row));
    assert_eq!((swappable().count(), little.tensor_count(), big.endian()), (23, 23, Endian::Big));
    for ty in swappable() {
        let is_one_byte = matches!(ty, GgmlType::I8 | GgmlType::MXFP4 | GgmlType::NVFP4);
        let raw = |file: &Gguf<Vec<u8>>| file.data(&file.tensor(ty.name()).unwrap()).unwrap().to_vec();
        assert_eq!(raw(&little) == raw(&big), is_one_byte, "{ty}: the stored bytes depend on the order");
        assert!(read(&little, ty) == row(ty) && read(&big, ty) == row(ty), "{ty}");
        let numbers = |file: &Gguf<Vec<u8>>| -> Result<Vec<u32>, QuantError> {
            let mut out = vec![0.0_f32; 4 * ty.block_len()];
            dequantize(ty, &read(file, ty), &mut out)?;
            Ok(out.iter().map(|x| if x.is_nan() { f32::NAN.to_bits() } else { x.to_bits() }).collect())
        };
        assert_eq!(numbers(&big), numbers(&little), "{ty}");
    }
}

/// A file of the corpus, written field by field, that holds 1.0 and 2.0.
#[test]
fn big_endian_numbers_are_swapped_by_read_data() {
    let case = cases().into_iter().find(|case| case.name == "big-endian").unwrap();
    let file = Gguf::parse_with(&case.bytes[..], Options::LENIENT).unwrap();
    let mut out = [0; 8];
    file.read_data(&file.tensor("t").unwrap(), &mut out).unwrap();
    assert_eq!(out[..], [1.0_f32, 2.0].map(f32::to_le_bytes).concat());
}

/// The corpus has a file for each scale of each type. After its bytes are swapped to big-endian, the check finds the
/// same block.
#[test]
fn values_are_checked_in_the_byte_order_of_the_file() {
    let mut not_finite = 0;
    for case in cases().into_iter().filter(|case| case.name.starts_with("values-")) {
        let file = Gguf::parse(&case.bytes[..]).unwrap();
        let tensor = file.tensor("t").unwrap();
        let mut data = file.data(&tensor).unwrap().to_vec();
        if swap_bytes(tensor.ty, &mut data).is_ok() {
            assert_eq!(first_non_finite_in(tensor.ty, &data, Endian::Big), Ok(case.not_finite), "{}", case.name);
            not_finite += u32::from(case.not_finite.is_some());
        }
    }
    assert!(not_finite > 40, "{not_finite}");
}

#[test]
fn unsupported_types_are_refused_and_nothing_is_written() {
    let ty = GgmlType::IQ2_XXS;
    let file = |endian| {
        let mut writer = Writer::new().with_endian(endian);
        writer.tensor("t", &[256], ty);
        Gguf::parse_with(writer.to_bytes(|_, out| out.write_all(&[1; 66])).unwrap(), Options::LENIENT).unwrap()
    };
    let (little, big) = (file(Endian::Little), file(Endian::Big));
    let mut out = [7; 66];
    assert_eq!(
        big.read_data(&big.tensor("t").unwrap(), &mut out),
        Err(DataError::Unswappable { tensor: "t".to_owned(), ty })
    );
    let tensor = little.tensor("t").unwrap();
    for got in [0, 65] {
        let error = DataError::OutputLength { tensor: "t".to_owned(), got, need: 66 };
        assert_eq!(little.read_data(&tensor, &mut out[..got as usize]), Err(error));
    }
    assert_eq!(out, [7; 66]);
    little.read_data(&tensor, &mut out).unwrap();
    assert_eq!(out, [1; 66]);
}

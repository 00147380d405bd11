//! Hostile and unusual files and how each is handled, in the order of the header, then gzip:
//!
//! | what is unusual | result | test |
//! |---|---|---|
//! | slope NaN or infinite | unscaled, warning | `a_slope_that_is_not_finite_leaves_values_unscaled` |
//! | slope 0 with an intercept | unscaled, warning | `a_slope_of_zero_leaves_values_unscaled_whatever_the_intercept` |
//! | finite slope, intercept not finite | `BadScale` | `a_slope_with_an_intercept_that_is_not_finite_is_an_error` |
//! | voxels further away, extender 0 | read there | `voxels_begin_at_vox_offset_with_or_without_an_extender` |
//! | extensions | a bounded list | `extensions_are_listed`, `extensions_beyond_the_file_or_the_limit_are_refused` |
//! | vox_offset 0 in a single file | after the header, warning | `a_vox_offset_of_zero_means_after_the_header` |
//! | vox_offset in the header, fractional, NaN, beyond the file | error | `a_vox_offset_in_the_header_or_that_is_no_position_is_an_error` |
//! | bitpix contradicts datatype | datatype, warning | `a_datatype_overrides_bitpix` |
//! | extents that overflow, or are too many | `TooLarge`, no memory | `extents_that_multiply_to_too_much_are_refused_before_any_memory`, `mutation::extents_that_overflow_allocate_no_memory` |
//! | negative extents; no axes, or eight | error | `invalid_extents_are_an_error` |
//! | trailing extents 0, distances <= 0 | 1 or positive, warning | `trailing_zeros_and_bad_distances_are_corrected` |
//! | several gzip members | read | `gzip::every_packing_gives_the_same_voxels_with_one_thread_and_several` |
//! | a wrong suffix | content decides | `gzip::the_suffix_of_a_file_is_ignored` |
//! | wrong CRC or size | error, unless `verify` is off | `a_wrong_checksum_or_size_is_an_error_if_verified`, `gzip::a_block_with_a_wrong_size_is_refused` |
//! | truncated | error with got and need | all of `truncated`, `a_file_that_is_cut_after_opening_is_truncated` |
//! | bombs, false sizes | no more than needed | `a_bomb_is_refused_before_it_is_unpacked`, `a_false_size_of_gigabytes_is_refused`, `what_follows_the_voxels_is_limited_and_never_kept`, `mutation::a_false_claim_of_gigabytes_allocates_no_memory` |
//! | esize too small, odd, negative, too long | list ends, warning | `bad_extensions_end_the_list` |
//! | colors, complex, extended as f32 | `NotReal`; views work | `colors_complex_and_extended_numbers_have_views_but_no_f32`, all of `views` |
//! | a file that shrinks while it is open | read, not mapped: an error | `a_file_that_is_cut_after_opening_is_truncated` |

use nifti_decode::{
    Datatype, Decoder, Endian, Extension, Got, GzipFault, Limits, NiftiError, Pack, Plan, Threads, Version, VolumeFile,
    Warning, encode,
};

use crate::made::{TWO, counting, decode, header, open, small, voxels, with};

const DIM: usize = 40;
const DATATYPE: usize = 70;
const BITPIX: usize = 72;
const PIXDIM: usize = 76;
const VOX_OFFSET: usize = 108;
const SCL_SLOPE: usize = 112;
const EXTENDER: usize = 348;

fn f32s(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

fn field(error: NiftiError) -> (&'static str, u64) {
    match error {
        NiftiError::Field { field, offset, .. } => (field, offset),
        other => panic!("{other}"),
    }
}

#[test]
fn a_slope_that_is_not_finite_leaves_values_unscaled() {
    for slope in [f32::NAN, f32::INFINITY] {
        let file = with(&[(SCL_SLOPE, &f32s(&[slope, 0.0]))]);
        assert_eq!(decode::<f32>(&file).unwrap(), counting());
        assert!(matches!(open(&file).unwrap().warnings(), [Warning::Slope { .. }]));
    }
}

#[test]
fn a_slope_of_zero_leaves_values_unscaled_whatever_the_intercept() {
    let file = with(&[(SCL_SLOPE, &f32s(&[0.0, 5.0]))]);
    assert_eq!(decode::<f32>(&file).unwrap(), counting());
    assert_eq!(open(&file).unwrap().warnings(), [Warning::UnusedInter { got: 5.0 }]);
}

#[test]
fn a_slope_with_an_intercept_that_is_not_finite_is_an_error() {
    for bad in [f32::INFINITY, f32::NEG_INFINITY, f32::NAN] {
        let error = open(&with(&[(SCL_SLOPE, &f32s(&[2.0, bad]))])).unwrap_err();
        assert!(matches!(error, NiftiError::BadScale { offset: 116, slope: 2.0, .. }), "{error}");
    }
}

#[test]
fn voxels_begin_at_vox_offset_with_or_without_an_extender() {
    let mut file = small();
    file[VOX_OFFSET..VOX_OFFSET + 4].copy_from_slice(&416_f32.to_le_bytes());
    file.splice(352..352, [0xee; 64]);
    assert_eq!(decode::<f32>(&file).unwrap(), counting());
    assert!(open(&file).unwrap().extensions().is_empty());
}

#[test]
fn extensions_are_listed() {
    let plain = open(&small()).unwrap();
    let list = [Extension { ecode: 6, content: b"hello".to_vec() }, Extension { ecode: 44, content: vec![1; 100] }];
    let voxels: Vec<u8> = (0..24_i16).flat_map(i16::to_ne_bytes).collect();
    for version in [Version::Nifti1, Version::Nifti2] {
        let header = header(version, Endian::Big, Datatype::Int16, plain.shape());
        let file = encode(&header, &list, &voxels, Pack::Gzip { level: 1 }).unwrap();
        let found = open(&file).unwrap();
        assert_eq!(found.extensions().iter().map(|e| e.ecode).collect::<Vec<_>>(), [6, 44]);
        assert!(found.extensions()[0].content.starts_with(b"hello"));
        assert_eq!(decode::<f32>(&file).unwrap(), counting());
    }
}

#[test]
fn a_vox_offset_of_zero_means_after_the_header() {
    let file = with(&[(VOX_OFFSET, &f32s(&[0.0]))]);
    assert_eq!(decode::<f32>(&file).unwrap(), counting());
    assert_eq!(open(&file).unwrap().warnings(), [Warning::ZeroVoxOffset { used: 352 }]);
}

#[test]
fn a_vox_offset_in_the_header_or_that_is_no_position_is_an_error() {
    for bad in [1.0, 351.0, 352.5, -352.0, f32::NAN, f32::INFINITY] {
        assert_eq!(field(open(&with(&[(VOX_OFFSET, &f32s(&[bad]))])).unwrap_err()), ("vox_offset", 108), "{bad}");
    }
    let error = open(&with(&[(VOX_OFFSET, &f32s(&[4096.0]))])).unwrap_err();
    assert!(matches!(error, NiftiError::Truncated { offset: 4096, got: 0, need: 48, .. }), "{error}");
    // NIfTI-2 has the field, and the end of the header, at other offsets.
    for bad in [1_i64, 352, 543, -544] {
        let header = header(Version::Nifti2, Endian::Big, Datatype::Uint8, &[2, 2, 2]);
        let mut file = encode(&header, &[], &[1; 8], Pack::Plain).unwrap();
        file[168..176].copy_from_slice(&bad.to_be_bytes());
        assert_eq!(field(open(&file).unwrap_err()), ("vox_offset", 168), "{bad}");
    }
}

#[test]
fn a_datatype_overrides_bitpix() {
    let file = with(&[(BITPIX, &[64, 0])]);
    assert_eq!(decode::<f32>(&file).unwrap(), counting());
    assert_eq!(open(&file).unwrap().warnings(), [Warning::Bitpix { got: 64, need: 16 }]);
}

#[test]
fn unknown_datatypes_are_an_error() {
    for bad in [0_i16, 1, 3, 255, 16384, -4] {
        let error = open(&with(&[(DATATYPE, &bad.to_le_bytes())])).unwrap_err();
        assert_eq!(field(error), ("datatype", 70), "{bad}");
    }
}

#[test]
fn extents_that_multiply_to_too_much_are_refused_before_any_memory() {
    let dims = [7, 32767, 32767, 32767, 32767, 32767, 32767, 32767_i16];
    let bytes: Vec<u8> = dims.iter().flat_map(|v| v.to_le_bytes()).collect();
    assert!(matches!(open(&with(&[(DIM, &bytes)])).unwrap_err(), NiftiError::TooLarge { what: "dim", .. }));
    let error = VolumeFile::from_bytes(small(), Limits::default().with_data_bytes(47)).unwrap_err();
    assert!(matches!(error, NiftiError::TooLarge { got: 48, limit: 47, .. }), "{error}");
}

#[test]
fn invalid_extents_are_an_error() {
    for (at, bad, name) in
        [(0, 0_i16, "dim[0]"), (0, 8, "dim[0]"), (0, -3, "dim[0]"), (1, -4, "dim[1]"), (3, 0, "dim[3]")]
    {
        let error = open(&with(&[(DIM + 2 * at, &bad.to_le_bytes())])).unwrap_err();
        assert_eq!(field(error), (name, 40 + 2 * at as u64));
    }
}

#[test]
fn trailing_zeros_and_bad_distances_are_corrected() {
    let file = with(&[(DIM, &[5, 0]), (DIM + 8, &[1, 0, 0, 0])]);
    assert_eq!(open(&file).unwrap().shape(), [4, 3, 2, 1, 1]);
    assert_eq!(open(&file).unwrap().warnings(), [Warning::ZeroExtent { axis: 5 }]);
    let file = with(&[(PIXDIM, &f32s(&[0.0, -2.0, 0.0, 3.0]))]);
    let found = open(&file).unwrap();
    assert_eq!(found.header().pixdim[..4], [1.0, 2.0, 1.0, 3.0]);
    let (x, y) = (Warning::Pixdim { axis: 1, got: -2.0 }, Warning::Pixdim { axis: 2, got: 0.0 });
    assert_eq!(found.warnings(), [x, y, Warning::Qfac { got: 0.0 }]);
}

#[test]
fn undefined_transform_codes_count_as_none() {
    let file = with(&[(252, &[9, 0]), (254, &[0xff, 0xff])]);
    let found = open(&file).unwrap();
    assert_eq!((found.header().qform_code, found.header().sform_code), (0, 0));
    assert_eq!(found.warnings().len(), 2);
}

#[test]
fn bad_extensions_end_the_list() {
    for esize in [0_i32, 4, 8, 24, -16, 4096, i32::MAX, i32::MIN] {
        let mut file = small();
        file[VOX_OFFSET..VOX_OFFSET + 4].copy_from_slice(&400_f32.to_le_bytes());
        file[EXTENDER] = 1;
        let extension: Vec<u8> = [esize.to_le_bytes(), 6_i32.to_le_bytes()].concat();
        file.splice(352..352, extension.into_iter().chain([7; 40]));
        let found = open(&file).unwrap();
        assert!(found.extensions().is_empty());
        assert_eq!(found.warnings(), [Warning::Extension { offset: 352, got: esize.into() }]);
        assert_eq!(decode::<f32>(&file).unwrap(), counting());
    }
}

#[test]
fn extensions_beyond_the_file_or_the_limit_are_refused() {
    let mut file = with(&[(VOX_OFFSET, &f32s(&[1e9])), (EXTENDER, &[1])]);
    assert!(matches!(open(&file).unwrap_err(), NiftiError::TooLarge { got: 999_999_652.., .. }));
    file.truncate(352);
    assert!(open(&file).is_err());
}

#[test]
fn colors_complex_and_extended_numbers_have_views_but_no_f32() {
    for datatype in Datatype::ALL.into_iter().filter(|datatype| !datatype.is_real()) {
        let stored = voxels(datatype, 24, 5, false);
        let header = header(Version::Nifti1, Endian::Big, datatype, &[4, 3, 2]);
        let file = open(&encode(&header, &[], &stored, Pack::Plain).unwrap()).unwrap();
        let mut decoder = Decoder::new();
        let error = file.decode::<f32>(&mut decoder, &Plan::scaled()).unwrap_err();
        assert!(matches!(error, NiftiError::NotReal { to: "float32", .. }), "{error}");
        assert!(matches!(file.stats(&mut decoder).unwrap_err(), NiftiError::NotReal { .. }));
        assert_eq!(file.view(&mut decoder).unwrap().len(), 24);
        let mut copy = vec![0; stored.len()];
        file.copy_into(&mut decoder, None, &mut copy).unwrap();
        assert_eq!(copy, stored, "{datatype:?}");
    }
}

#[test]
fn files_that_are_no_volume_are_refused() {
    assert!(matches!(open(b"").unwrap_err(), NiftiError::Truncated { what: "header", got: 0, .. }));
    assert!(matches!(open(&[0; 400]).unwrap_err(), NiftiError::NotNifti { first: [0, 0, 0, 0] }));
    assert!(matches!(open(&small()[..300]).unwrap_err(), NiftiError::Truncated { got: 300, need: 348, .. }));
    // Without magic it could be ANALYZE, which has no single files. So could the header of a pair.
    for magic in [*b"n+9\0", *b"ni1\0", [0; 4]] {
        let error = open(&with(&[(344, &magic)])).unwrap_err();
        let NiftiError::Field { field: "magic", offset: 344, got, .. } = error else { panic!("{error}") };
        assert_eq!(got, Got::Text(magic));
    }
}

#[test]
fn a_second_version_damaged_by_a_text_transfer_is_refused() {
    let header = header(Version::Nifti2, Endian::Little, Datatype::Uint8, &[2, 2, 2]);
    let mut file = encode(&header, &[], &[1; 8], Pack::Plain).unwrap();
    file[8..12].copy_from_slice(b"\n\n\x1a\n");
    assert_eq!(field(open(&file).unwrap_err()), ("magic", 8));
    file[8..12].fill(0);
    assert_eq!(open(&file).unwrap().warnings(), [Warning::NoLineEndings]);
}

#[test]
fn a_truncated_file_is_an_error_and_never_part_of_a_volume() {
    let file = small();
    for cut in 352..file.len() {
        let error = open(&file[..cut]).unwrap_err();
        let got = cut as u64 - 352;
        assert!(matches!(error, NiftiError::Truncated { offset: 352, got: g, need: 48, .. } if g == got), "{error}");
    }
}

fn packed(pack: Pack) -> Vec<u8> {
    let header = header(Version::Nifti1, Endian::Little, Datatype::Int16, &[50, 40, 30]);
    encode(&header, &[], &voxels(Datatype::Int16, 60_000, 9, false), pack).unwrap()
}

#[test]
fn a_truncated_gzip_stream_is_an_error_at_every_length() {
    for pack in [Pack::Gzip { level: 6 }, Pack::Members { level: 6, bytes: 30_000 }, Pack::Bgzf { level: 6 }] {
        let file = packed(pack);
        let footer = if matches!(pack, Pack::Bgzf { .. }) { 28 } else { 0 };
        for cut in [20, 500, file.len() / 2, file.len() - footer - 9, file.len() - footer - 1] {
            let error = decode::<f32>(&file[..cut]).unwrap_err();
            let is_told =
                matches!(error, NiftiError::Truncated { .. } | NiftiError::TooLarge { .. } | NiftiError::Gzip { .. });
            assert!(is_told, "{pack:?} {cut}: {error}");
        }
        let error = decode::<f32>(&file[..file.len() / 2]).unwrap_err();
        assert!(matches!(error, NiftiError::Truncated { need: 120_352, got: 1.., .. }), "{error}");
    }
}

#[test]
fn a_wrong_checksum_or_size_is_an_error_if_verified() {
    for (from_end, is_crc) in [(8, true), (4, false)] {
        let mut file = packed(Pack::Gzip { level: 6 });
        let at = file.len() - from_end;
        file[at] ^= 1;
        let error = decode::<f32>(&file).unwrap_err();
        let NiftiError::Gzip { offset: 0, fault } = error else { panic!("{error}") };
        assert_eq!(matches!(fault, GzipFault::Crc { .. }), is_crc);
        assert_eq!(matches!(fault, GzipFault::Size { .. }), !is_crc);
        let lenient = VolumeFile::from_bytes(file, Limits::default().with_verify(false)).unwrap();
        assert_eq!(lenient.decode::<f32>(&mut Decoder::new(), &Plan::scaled()).unwrap().into_voxels().len(), 60_000);
    }
}

#[test]
fn a_bomb_is_refused_before_it_is_unpacked() {
    // 16 MiB of zeros, packed to 16 KiB, with a header that claims 100 times as much.
    let header = header(Version::Nifti1, Endian::Little, Datatype::Uint8, &[256, 256, 256]);
    let mut plain = encode(&header, &[], &vec![0; 1 << 24], Pack::Plain).unwrap();
    plain[DIM..DIM + 8].copy_from_slice(&[4, 0, 0, 1, 0, 1, 0, 1]);
    plain[DIM + 8..DIM + 10].copy_from_slice(&1600_i16.to_le_bytes());
    let packed = nifti_gzip(&plain);
    let error = open(&packed).unwrap_err();
    assert!(matches!(error, NiftiError::TooLarge { got, limit, .. } if got > limit && limit < 40 << 20), "{error}");
}

/// The trailer of an otherwise valid stream states that it unpacks to almost 4 GiB.
#[test]
fn a_false_size_of_gigabytes_is_refused() {
    for pack in [Pack::Gzip { level: 6 }, Pack::Members { level: 6, bytes: 30_000 }] {
        let mut file = packed(pack);
        let at = file.len() - 4;
        file[at..].copy_from_slice(&0xf000_0000_u32.to_le_bytes());
        let mut decoder = Decoder::new();
        let error = open(&file).unwrap().decode::<f32>(&mut decoder, &Plan::scaled()).unwrap_err();
        let is_told = matches!(error, NiftiError::Gzip { fault: GzipFault::Size { need: 0xf000_0000, .. }, .. });
        assert!(is_told, "{pack:?}: {error}");
        assert!(decoder.scratch_bytes() <= 1 << 20, "{}", decoder.scratch_bytes());
    }
}

#[test]
fn what_follows_the_voxels_is_limited_and_never_kept() {
    let mut plain = small();
    plain.resize(plain.len() + (1 << 20), 0);
    let packed = nifti_gzip(&plain);
    assert_eq!(decode::<f32>(&packed).unwrap(), counting());
    let mut limits = Limits::default();
    limits.trailing_bytes = 1 << 16;
    let file = VolumeFile::from_bytes(packed.clone(), limits).unwrap();
    let mut decoder = Decoder::new();
    let error = file.decode::<f32>(&mut decoder, &Plan::scaled()).unwrap_err();
    assert!(matches!(error, NiftiError::TooLarge { what: "what follows the voxels", .. }), "{error}");
    assert!(decoder.scratch_bytes() <= 1 << 20);
    let file = VolumeFile::from_bytes(packed, limits.with_verify(false)).unwrap();
    assert_eq!(file.decode::<f32>(&mut decoder, &Plan::scaled()).unwrap().into_voxels(), counting());
}

/// A file that becomes shorter after it was opened gives an error with the number of missing bytes, however it is read.
#[test]
fn a_file_that_is_cut_after_opening_is_truncated() {
    let directory = tempfile::tempdir().unwrap();
    let header = header(Version::Nifti1, Endian::Little, Datatype::Int16, &[100, 60, 40]);
    let stored = voxels(Datatype::Int16, 100 * 60 * 40, 3, false);
    for pack in [
        Pack::Plain,
        Pack::Gzip { level: 6 },
        Pack::Members { level: 6, bytes: 100_000 },
        Pack::Bgzf { level: 6 },
        Pack::Mgzip { level: 6, bytes: 100_000 },
    ] {
        let path = directory.path().join("volume.nii");
        let bytes = encode(&header, &[], &stored, pack).unwrap();
        for cut in [bytes.len() / 2, bytes.len() - 5, 400] {
            for threads in [Threads::SERIAL, TWO] {
                std::fs::write(&path, &bytes).unwrap();
                let file = VolumeFile::open(&path).unwrap();
                std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(cut as u64).unwrap();
                let mut decoder = Decoder::new().with_threads(threads);
                let mut out = vec![0.0_f32; file.voxels()];
                let whole = file.decode_into(&mut decoder, &Plan::scaled(), &mut out).map(drop);
                let indexed = file.decode_and_index(&mut decoder, &Plan::scaled(), &mut out).map(drop);
                let copied = file.copy_into(&mut decoder, None, &mut vec![0; stored.len()]).map(drop);
                let region = file.read_region::<f32>(&mut decoder, &[0..100, 0..60, 38..40], &Plan::stored()).map(drop);
                for (way, outcome) in [("whole", whole), ("indexed", indexed), ("copied", copied), ("region", region)] {
                    let error = outcome.expect_err(way);
                    assert!(
                        matches!(error, NiftiError::Truncated { .. } | NiftiError::Gzip { .. }),
                        "{pack:?} cut at {cut}, {way}: {error}"
                    );
                    assert!(pack != Pack::Plain || matches!(error, NiftiError::Truncated { .. }), "{way}: {error}");
                }
            }
        }
    }
}

/// `bytes` as one gzip member, packed by the writer as a volume of bytes whose header is then removed.
fn nifti_gzip(bytes: &[u8]) -> Vec<u8> {
    crate::gzip::member(bytes, 9)
}

#!/bin/sh
# Called by cargo in place of rustc, as: rustc.sh RUSTC ARGUMENTS…
# Puts every function on a 64-byte boundary, so that a change elsewhere cannot move a hot loop across cache lines, and
# lets the linker script of this folder record how programs are linked. RUSTFLAGS would do neither job well: it
# replaces the project's own flags and reaches build scripts too.
# ASSAY_CHAIN names the wrapper that the project or the user had configured; it stays in force.
case " $* " in
*" --crate-name ___ "* | *" --crate-name build_script_"*) exec ${ASSAY_CHAIN:+"$ASSAY_CHAIN"} "$@" ;;
*" --crate-name "*) ;;
*) exec ${ASSAY_CHAIN:+"$ASSAY_CHAIN"} "$@" ;;
esac
linker=
previous=
for argument in "$@"; do
    case $argument in
    -Clinker=*) linker=${argument#-Clinker=} ;;
    linker=*) [ "$previous" = -C ] && linker=${argument#linker=} ;;
    esac
    previous=$argument
done
if [ "${ASSAY_ALIGN:-1}" = 1 ]; then
    set -- "$@" -Cllvm-args=-align-all-functions=6
fi
name=$(basename "${linker:-cc}")
if [ -n "${ASSAY_LINKERS:-}" ] && [ -x "$ASSAY_LINKERS/$name" ]; then
    ASSAY_LINKER=${linker:-cc}
    export ASSAY_LINKER
    exec ${ASSAY_CHAIN:+"$ASSAY_CHAIN"} "$@" -Clinker="$ASSAY_LINKERS/$name"
fi
exec ${ASSAY_CHAIN:+"$ASSAY_CHAIN"} "$@"

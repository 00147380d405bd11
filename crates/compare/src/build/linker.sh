#!/bin/sh
# Called by rustc in place of the linker driver. Records the command next to the output, with the object files that
# rustc deletes afterward, so that the same compiled code can be linked again with another layout; then links.
real=${ASSAY_LINKER:-cc}
output=
previous=
for argument in "$@"; do
    [ "$previous" = -o ] && output=$argument
    previous=$argument
done
if [ -n "$output" ]; then
    record=$output.link
    rm -rf "$record"
    if mkdir -p "$record" 2>/dev/null; then
        count=0
        {
            printf '%s\0' "$PWD" "$real"
            for argument in "$@"; do
                case $argument in
                *.o | @*)
                    count=$((count + 1))
                    file=${argument#@}
                    at=${argument%"$file"}
                    ln "$file" "$record/$count.o" 2>/dev/null || cp "$file" "$record/$count.o"
                    printf '%s\0' "$at$record/$count.o"
                    ;;
                *) printf '%s\0' "$argument" ;;
                esac
            done
        } >"$record/command.partial" && mv "$record/command.partial" "$record/command"
    fi
fi
exec "$real" "$@"

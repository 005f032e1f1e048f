#!/usr/bin/env bash
# Collects what benchmarks/gpu.py needs on a machine without a network: wheels, images, the commit. At most 60 MiB.
#
#     uv run benchmarks/gpu_carry.sh --cifar10 cifar10.tar.gz --imagenette imagenette160.tar [DIR]
#
# DIR is `carried` unless given. Images are a tar file with {train,val}/<class>/ each; those not given are left out.
# --python 3.12 (default) or here: whose wheels; for Linux on x86-64. --list carried|expected|left-out prints names.
#
# On the machine, in the repository's folder; torch, torchvision and numpy are there:
#
#     python3 -m pip install --no-index --no-deps --target site carried/wheels/*.whl
#     PYTHONPATH=site python3 benchmarks/gpu.py --device cuda --minutes 9
set -euo pipefail

carried=(
  # asvit
  cyclopts attrs docstring-parser filelock jaxtyping wadler-lindig msgspec packaging rich markdown-it-py mdurl pygments
  tifffile typing-extensions
  # training; timm reads and writes its folders with Hugging Face's client
  timm safetensors huggingface-hub httpx2 httpcore2 anyio idna h11 truststore click pyyaml
  # detectors
  faster-coco-eval
  # studies
  optuna alembic mako markupsafe colorlog tqdm
  # tests
  pytest iniconfig pluggy
)
pure=(sqlalchemy) # half the size of its compiled wheel
# Too large to carry: the check on the CPU installs them beside torch.
expected=(
  scipy # studies: the interval of a pilot's ratio of variances
)
# What asvit asks for and the steps do without.
left_out=(
  altair vl-convert-python # reports: drawn elsewhere, from the results
  scikit-image             # its photographs: --images takes the carried ones
  scikit-learn             # its digits
  torch torchvision numpy pillow
)

most=$((60 * 1024 * 1024))
platforms=()
for glibc in manylinux_2_28 manylinux_2_27 manylinux_2_17 manylinux2014 manylinux1; do
  platforms+=(--platform "${glibc}_x86_64")
done

stop() {
  echo "gpu_carry.sh: $1" >&2
  exit 2
}

file() { # of an option: where it is from here
  [[ -f $2 ]] || stop "$1 $2 is no file: expected a tar file of images"
  realpath "$2"
}

python=3.12 cifar10='' imagenette='' folder=carried
while (($#)); do
  [[ $1 != -* ]] || (($# > 1)) || stop "a value is missing after $1"
  case $1 in
    --cifar10) cifar10=$(file "$1" "$2") ;;
    --imagenette) imagenette=$(file "$1" "$2") ;;
    --python) python=$2 ;;
    --list)
      case $2 in
        carried) printf '%s\n' "${carried[@]}" "${pure[@]}" ;;
        expected) printf '%s\n' "${expected[@]}" ;;
        left-out) printf '%s\n' "${left_out[@]}" ;;
        *) stop "unknown list $2: expected carried, expected or left-out" ;;
      esac
      exit ;;
    -*) stop "unknown option $1: expected --cifar10, --imagenette, --python or --list" ;;
    *) folder=$1 && shift && continue ;;
  esac
  shift 2
done
[[ $python == here ]] && python=$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
[[ -z $imagenette ]] || python3 -c 'import PIL' 2>/dev/null || stop "python3 has no Pillow: start with \`uv run\`"
[[ $python =~ ^3\.[0-9]+$ ]] || stop "unknown Python $python: expected a version such as 3.12, or here"

mkdir -p "$folder/wheels" "$folder/data"
folder=$(realpath "$folder")
cd "$(dirname "$0")/.."

# What is there is not downloaded again; what pip does not name, as an older version, goes.
said=$(mktemp)
trap 'rm -f "$said"' EXIT
download() {
  uv tool run --quiet pip download --no-deps --only-binary=:all: --dest "$folder/wheels" --python-version "$python" "$@" \
    >>"$said" 2>&1 || { cat "$said" >&2 && stop "not all wheels for Python $python can be had"; }
}
download --implementation cp "${platforms[@]}" "${carried[@]}"
download --implementation py --abi none --platform any "${pure[@]}"
wanted=$(sed -nE 's/^ *(Saved|File was already downloaded) .*\///p' "$said")
(($(wc -l <<<"$wanted") == ${#carried[@]} + ${#pure[@]})) || stop "cannot tell which wheels are wanted from what pip says"
for wheel in "$folder"/wheels/*; do
  grep -qxF "${wheel##*/}" <<<"$wanted" || rm "$wheel"
done
uv build --quiet --wheel --out-dir "$folder/wheels"
rm -f "$folder/wheels/.gitignore" # uv's

if [[ -n $cifar10 ]]; then
  cmp --quiet "$cifar10" "$folder/data/cifar10.tar.gz" || cp "$cifar10" "$folder/data/cifar10.tar.gz"
fi
if [[ -n $imagenette ]]; then
  small=$folder/data/imagenette128.tar.gz
  [[ $small -nt $imagenette && $small -nt benchmarks/gpu_data.py ]] ||
    python3 benchmarks/gpu_data.py "$imagenette" "$small"
fi
git describe --always --dirty >"$folder/commit"

mib() { awk -v bytes="$1" 'BEGIN { printf "%.1f", bytes / 2 ^ 20 }'; }
size() { find "$1" -type f -printf '%s\n' | awk '{ bytes += $1 } END { print bytes + 0 }'; }
for name in cifar10.tar.gz imagenette128.tar.gz; do
  if [[ -f $folder/data/$name ]]; then
    echo "data/$name: $(mib "$(size "$folder/data/$name")") MiB"
  else
    echo "data/$name: not there, and steps that read it cannot run"
  fi
done
echo "wheels for Python $python: $(find "$folder/wheels" -name '*.whl' | wc -l), $(mib "$(size "$folder/wheels")") MiB"
total=$(size "$folder")
echo "$folder: $(mib "$total") MiB of at most $(mib $most)"
((total <= most)) || stop "that is too much: leave something out"

"""Completion in the user's shell: what cyclopts knows, and else names of files."""

from typing import Literal

from cyclopts import App

_ZSH_FILES = """\
  if (( ! compstate[nmatches] )); then
    compstate[insert]=automenu-unambiguous  # which the message about an argument without choices has emptied
    _files
  fi
"""


class CompletingFiles(App):
    """A command line that completes names of files wherever nothing else is known.

    Networks, runs and data sets are texts that may name a file. cyclopts completes files for paths alone, and leaves
    a word of any other kind as it is, where a shell that knows nothing of a program completes files.
    """

    def generate_completion(
        self,
        *,
        prog_name: str | None = None,
        shell: Literal["zsh", "bash", "fish", "powershell"] | None = None,
    ) -> str:
        """The script of a shell; fish and PowerShell complete files by themselves."""
        script = super().generate_completion(prog_name=prog_name, shell=shell)
        if shell == "bash":
            # bash itself ends directories with a slash and quotes names with spaces; compgen -f does not.
            by_bash = script.replace('COMPREPLY=( $(compgen -f -- "${cur}") )', "COMPREPLY=()")
            return by_bash.replace("\ncomplete -F ", "\ncomplete -o bashdefault -o default -o filenames -F ")
        if shell == "zsh":
            return script.rstrip().removesuffix("}") + _ZSH_FILES + "}\n"
        return script

"""Provides a genuine Apache Mesos 1.11 on a system where nobody can compile one any more.

install.py DEST PYTHON27, run by the python of a virtual environment, whose pip it uses.

PyPI's mesos.scheduler holds the whole of Mesos, built in 2020, as an extension of Python 2.7. To load it
today it needs two things: libcurl under the name of its symbols' version in those days, and an OpenSSL
1.0, of which it uses nothing as long as TLS is off. Besides a Python 2.7 this takes a C compiler, `nm`,
and Debian's libapr1, libcurl4, libsasl2-2 and libsvn1.
"""
import hashlib
import io
import os
import re
import struct
import subprocess
import sys
import tarfile
from urllib.parse import urljoin

from pip._internal.commands import create_command

ARCHIVE = "mesos.scheduler-1.11.0.linux-x86_64.tar.gz"
SHA256 = "1d376f20bca6d05ee8b90c1c123a452b28753497ccc2f1c80ea3ac94c12e8f6e"


def download():
    """The archive. pip installs no archives of this kind, but its session and settings reach the index."""
    command = create_command("download")
    options, _ = command.parse_args(["mesos.scheduler"])
    with command.main_context():
        session = command.get_default_session(options)
        index = options.index_url.rstrip("/") + "/mesos-scheduler/"
        page = session.get(index)
        page.raise_for_status()
        links = re.findall(r'href="([^"#]+)', page.text)
        link = next(link for link in links if link.endswith("/" + ARCHIVE) or link == ARCHIVE)
        # As it is, not unpacked on the way.
        archive = session.get(urljoin(page.url, link), headers={"Accept-Encoding": "identity"})
        archive.raise_for_status()
    assert hashlib.sha256(archive.content).hexdigest() == SHA256, "PyPI's archive is not the one of 2020"
    return archive.content


def extract(archive, package):
    os.makedirs(package, exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        for member in files:
            name = os.path.basename(member.name)
            if "/mesos/scheduler/" in member.name and name in ("__init__.py", "_scheduler.so"):
                with open(os.path.join(package, name), "wb") as out:
                    out.write(files.extractfile(member).read())


def elf_hash(name):
    """How an ELF file finds a version's name."""
    value = 0
    for byte in name:
        value = (value << 4) + byte
        high = value & 0xF0000000
        value = (value ^ (high >> 24)) & ~high
    return struct.pack("<I", value)


def rename_curl(library):
    """Only the name of the version has changed since: CURL_OPENSSL_3 is now CURL_OPENSSL_4."""
    with open(library, "rb") as file:
        content = file.read()
    old, new = b"CURL_OPENSSL_3", b"CURL_OPENSSL_4"
    for before, after in ((b"\0" + old + b"\0", b"\0" + new + b"\0"), (elf_hash(old), elf_hash(new))):
        assert content.count(before) == 1, before
        content = content.replace(before, after)
    with open(library, "wb") as file:
        file.write(content)


def stand_in_for_openssl(library, libraries):
    """Libraries with the right names whose every function ends the process."""
    os.makedirs(libraries, exist_ok=True)
    versions = {}
    for line in subprocess.check_output(["nm", "-D", "--undefined-only", library], text=True).splitlines():
        found = re.search(r"(\w+)@@?(OPENSSL_[\w.]+)$", line)
        if found:
            versions.setdefault(found[2], []).append(found[1])
    source, script = os.path.join(libraries, "openssl.c"), os.path.join(libraries, "openssl.map")
    with open(source, "w") as out:
        out.write("#include <stdio.h>\n#include <stdlib.h>\n")
        for name in (name for names in versions.values() for name in names):
            out.write('void %s(void) { fputs("%s: there is no OpenSSL here\\n", stderr); abort(); }\n' % (name, name))
    with open(script, "w") as out:
        for version, names in sorted(versions.items()):
            out.write("%s { global: %s; local: *; };\n" % (version, "; ".join(names)))
    for name in ("libcrypto.so.1.0.0", "libssl.so.1.0.0"):
        # -fno-builtin and -w: the stand-ins' types are not those of the functions.
        subprocess.check_call(["cc", "-shared", "-fPIC", "-fno-builtin", "-w", "-Wl,-soname," + name,
                               "-Wl,--version-script," + script, "-o", os.path.join(libraries, name), source])


def main(dest, python27):
    site, libraries = os.path.join(dest, "site"), os.path.join(dest, "lib")
    package = os.path.join(site, "mesos", "scheduler")
    library = os.path.join(package, "_scheduler.so")
    subprocess.check_call([python27, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-warn-script-location",
                           "--upgrade", "--target", site, "mesos.interface==1.7.2"])
    extract(download(), package)
    # Both packages share the name `mesos`.
    open(os.path.join(site, "mesos", "__init__.py"), "w").close()
    rename_curl(library)
    stand_in_for_openssl(library, libraries)
    environment = dict(os.environ, PYTHONPATH=site, LD_LIBRARY_PATH=libraries)
    subprocess.check_call([python27, "-c", "import mesos.scheduler"], env=environment)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""`tinynas cluster init`: a certificate authority of the cluster's own, and a certificate for each role."""

import datetime
import os
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tinynas.cluster.place import DEFAULT_PORT
from tinynas.errors import ConfigError, InfrastructureError

_YEARS = 5
# A search connects and is never connected to, so that its certificate does not let it pose as a scheduler.
_PURPOSES = {
    "scheduler": (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH),
    "worker": (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH),
    "client": (ExtendedKeyUsageOID.CLIENT_AUTH,),
}
_FILE = """\
# A cluster of tinynas. Who holds one of its certificates can run code on all of its machines: docs/cluster.md.

# Where workers and searches reach the scheduler.
scheduler = "{address}"
# The folder with ca.pem and this machine's certificates, relative to this file.
certificates = "."
# How long a search waits for a scheduler, a worker or a board that is gone.
wait = "10 min"
"""


def init_cluster(folder: Path, host: str, port: int = DEFAULT_PORT) -> dict[str, list[str]]:
    """Make a cluster's file and its certificates in `folder`, whose scheduler will be at `host`. Returns role -> the
    files that a machine of that role needs.

    Raises:
        ConfigError: the folder holds a cluster.
        InfrastructureError: it cannot be written.
    """
    file = folder / "cluster.toml"
    if file.exists() or (folder / "ca.key").exists():
        raise ConfigError(
            f"{folder} holds a cluster already, whose machines new certificates would lock out: name another folder"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        authority = _signed("tinynas cluster", key, None)
        _write_key(folder / "ca.key", key)
        (folder / "ca.pem").write_bytes(authority.public_bytes(serialization.Encoding.PEM))
        for role in _PURPOSES:
            own = ec.generate_private_key(ec.SECP256R1())
            _write_key(folder / f"{role}.key", own)
            certificate = _signed(role, own, (authority, key))
            (folder / f"{role}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        file.write_text(_FILE.format(address=f"tls://{host}:{port}"), encoding="utf-8")
    except OSError as error:
        raise InfrastructureError(f"folder {folder} cannot be written: {error.strerror}") from error
    return {role: ["cluster.toml", "ca.pem", f"{role}.pem", f"{role}.key"] for role in _PURPOSES}


def _signed(
    name: str, key: ec.EllipticCurvePrivateKey, by: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None
) -> x509.Certificate:
    """A certificate for `key`, signed by an authority, or as one by itself."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signer = key if by is None else by[1]
    # A clock that is a little behind must not refuse what was made this minute.
    now = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if by is None else by[0].subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=365 * _YEARS))
        .add_extension(x509.BasicConstraints(ca=by is None, path_length=0 if by is None else None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if by is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage(_PURPOSES[name]), critical=True)
    return builder.sign(signer, hashes.SHA256())


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    content = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)

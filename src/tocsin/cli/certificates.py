"""The certificate that `tocsin up --tls` makes: signed by an authority of its own, which browsers have to trust once.

The authority's key stays in the data folder, and is limited to the names of this Tocsin: it is of no use for others.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Final, Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tocsin.cli.console import CommandError
from tocsin.cli.private_file import write_private
from tocsin.kernel import clock

FOLDER_MODE: Final = 0o700
ALWAYS: Final = ("localhost", "127.0.0.1", "::1")
"""The names and addresses of this machine for itself."""
AUTHORITY_LIFE: Final = timedelta(days=3_650)
LIFE: Final = timedelta(days=397)
"""Browsers accept no longer one (CA/Browser Forum, Baseline Requirements, section 6.3.2)."""
RENEWAL: Final = timedelta(days=30)
"""A certificate that is valid for less than this is replaced at the start."""
AHEAD: Final = timedelta(hours=1)
"""How much the clock of a browser may be behind."""


@dataclass(frozen=True, slots=True)
class _Pair:
    """A certificate with its key, which are in one file so that they always belong together."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """Return the pair in a file; None if there is none. Raise OSError or ValueError if it cannot be read."""
        if not path.exists():
            return None
        text = path.read_bytes()
        key = load_pem_private_key(text, password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            msg = "not a key of ours"
            raise ValueError(msg)  # noqa: TRY004 - as for other files that are not ours
        return cls(x509.load_pem_x509_certificate(text), key)

    def write(self, path: Path) -> None:
        """Write the pair to a file that only its owner can read. Raise OSError."""
        key = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        write_private(path, (key + self.certificate.public_bytes(Encoding.PEM)).decode("ascii"))

    def outlives(self, life: timedelta) -> bool:
        """Return whether it is valid for *life* from now on."""
        return self.certificate.not_valid_after_utc - clock.now() >= life


class LocalCertificate:
    """The authority and the certificate in a data folder."""

    def __init__(self, data: Path) -> None:
        self._folder = (data / "tls").resolve()
        self._authority_file = self._folder / "authority-key.pem"
        self.authority: Final = self._folder / "authority.pem"
        """The certificate that browsers and programs have to trust."""
        self.certificate: Final = self._folder / "certificate.pem"
        """The certificate of the server, with its key."""

    def renew(self, hosts: Iterable[str]) -> None:
        """Create what is missing, expires soon, or is not for *hosts*. Raise CommandError if that is not possible."""
        wanted = sorted({*ALWAYS, *hosts})
        try:
            self._folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            authority = self._renew_authority(wanted)
            found = _Pair.read(self.certificate)
            is_good = found is not None and found.outlives(RENEWAL) and _names(found) == set(map(_name, wanted))
            if found is None or not is_good or not _has_signed(authority, found):
                _new_certificate(authority, wanted).write(self.certificate)
        except (OSError, ValueError) as exc:
            advice = f"Delete {self._folder} if its files are damaged: new ones are made, and have to be trusted anew."
            msg = f"the certificate cannot be written to {self._folder} or read there: {exc}"
            raise CommandError(msg, advice) from exc

    def _renew_authority(self, hosts: Sequence[str]) -> _Pair:
        found = _Pair.read(self._authority_file)
        if found is None or not (found.outlives(LIFE) and _permitted(found) == set(map(_subtree, hosts))):
            found = _new_authority(hosts)
            found.write(self._authority_file)
        text = found.certificate.public_bytes(Encoding.PEM).decode("ascii")
        if not self.authority.exists() or self.authority.read_text(encoding="ascii") != text:
            self.authority.write_text(text, encoding="ascii")
        return found


def _new_authority(hosts: Sequence[str]) -> _Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Tocsin on this machine")])
    usage = _usage(key_cert_sign=True, crl_sign=True)
    limits = x509.NameConstraints([_subtree(host) for host in hosts], None)
    builder = (
        _builder(name, name, key, AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(limits, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return _Pair(builder.sign(key, hashes.SHA256()), key)


def _new_certificate(authority: _Pair, hosts: Sequence[str]) -> _Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Tocsin")])
    issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    builder = (
        _builder(subject, authority.certificate.subject, key, LIFE - AHEAD)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_name(host) for host in hosts]), critical=False)
        .add_extension(issuer_key, critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return _Pair(builder.sign(authority.key, hashes.SHA256()), key)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, life: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(clock.now() - AHEAD)
        .not_valid_after(clock.now() + life)
    )


def _usage(*, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(host: str) -> x509.DNSName | x509.IPAddress:
    """Return *host* as a certificate names it. Raise ValueError for what is no host."""
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host.encode("idna").decode("ascii"))


def _subtree(host: str) -> x509.DNSName | x509.IPAddress:
    """Return *host*, and nothing else, as an authority's limits name it."""
    name = _name(host)
    return x509.IPAddress(ip_network(name.value)) if isinstance(name, x509.IPAddress) else name


def _permitted(authority: _Pair) -> set[x509.GeneralName]:
    """Return the names for which an authority may sign."""
    limits = authority.certificate.extensions.get_extension_for_class(x509.NameConstraints).value
    return set(limits.permitted_subtrees or ())


def _names(pair: _Pair) -> set[x509.GeneralName]:
    """Return the names of a server's certificate."""
    return set(pair.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)


def _has_signed(authority: _Pair, pair: _Pair) -> bool:
    try:
        pair.certificate.verify_directly_issued_by(authority.certificate)
    except (ValueError, InvalidSignature):
        return False
    return True

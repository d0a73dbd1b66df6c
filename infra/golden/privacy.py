"""Reference values for tidemill-privacy.

Needs Faker 40.54.0, python-stdnum 2.2, zstandard; `peer` also pyarrow and presidio-analyzer 2.2 (without a language
model). Run from the repository root:

    python infra/golden/privacy.py ids      valid and invalid national numbers, cards and accounts, by python-stdnum
    python infra/golden/privacy.py columns  tables of persons and of look-alikes, by Faker; `columns dev FILE` writes the
                                            development part, on which weights are tuned: other values, other names
    python infra/golden/privacy.py lists F  the lists of names, from the unpacked source of the package names 0.3.0
    python infra/golden/privacy.py peer FEBRL  the same columns by the pattern recognizers of Presidio
"""

import hashlib
import importlib
import json
import pathlib
import random
import sys
import uuid

ROOT = pathlib.Path(__file__).parents[2] / "shared/privacy"
GOLDEN = ROOT / "tests/golden"
ROWS = 40

# Kind: module of stdnum, and forms to fill: # a digit, ? a letter, * either, others as they are.
KINDS = {
    "uk_nhs": ("gb.nhs", ["##########", "### ### ####"]),
    "de_steuer_id": ("de.idnr", ["###########", "## ### ### ###"]),
    "fr_nir": ("fr.nir", ["1##05##########", "2 ## 11 ## ### ### ##", "1 85 05 2A ### ### ##"]),
    "it_codice_fiscale": ("it.codicefiscale", ["??????##?##?###?"]),
    "es_dni": ("es.dni", ["########?", "########-?"]),
    "es_dni ": ("es.nie", ["X#######?", "Y-#######-?", "Z#######?"]),
    "nl_bsn": ("nl.bsn", ["#########", "####.##.###"]),
    "be_nn": ("be.nn", ["###########", "##.##.##-###.##"]),
    "pl_pesel": ("pl.pesel", ["###########"]),
    "se_personnummer": ("se.personnummer", ["######-####", "19######-####"]),
    "fi_hetu": ("fi.hetu", ["######-###*", "######A###*"]),
    "no_fodselsnummer": ("no.fodselsnummer", ["###########", "###### #####"]),
    "pt_nif": ("pt.nif", ["#########", "2## ### ###"]),
    "ch_ahv": ("ch.ssn", ["756.####.####.##", "756##########"]),
    "ca_sin": ("ca.sin", ["###-###-###", "#########"]),
    "mx_curp": ("mx.curp", ["????######H?????##"]),
    "br_cpf": ("br.cpf", ["###########", "###.###.###-##"]),
    "au_tfn": ("au.tfn", ["### ### ###", "#########"]),
    "in_aadhaar": ("in_.aadhaar", ["############", "#### #### ####"]),
    "cn_resident": ("cn.ric", ["11010119#########*"]),
    "za_id": ("za.idnr", ["#############", "###### #### ###"]),
    "card": ("luhn", ["4###############", "51## #### #### ####", "37#############"]),
    "iban": ("iban", ["DE####################", "GB##????##############", "NL## ???? #### #### ##"]),
}
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def fill(rng, form):
    pick = {"#": "0123456789", "?": LETTERS, "*": "0123456789" + LETTERS}
    return "".join(rng.choice(pick[c]) if c in pick else c for c in form)


def reference(kind):
    check = importlib.import_module("stdnum." + KINDS[kind][0]).is_valid
    if kind == "be_nn":
        # The reference also takes numbers of those whose day of birth is not known.
        dated = importlib.import_module("stdnum.be.nn").get_birth_date
        return lambda text: check(text) and dated(text) is not None
    # The module of Luhn sums takes digits only.
    return (lambda text: check(text.replace(" ", ""))) if kind == "card" else check


def valid(rng, kind, form):
    """A valid number of a form, by trial; dates and check digits make some rare."""
    check = reference(kind)
    for _ in range(3_000_000):
        text = fill(rng, form)
        if kind == "iban":
            import stdnum.iban

            text = text[:2] + stdnum.iban.calc_check_digits(text.replace(" ", "")) + text[4:]
        if kind == "mx_curp":
            day = f"{rng.randrange(50, 99):02}{rng.randrange(1, 13):02}{rng.randrange(1, 29):02}"
            text = text[:4] + day + "H" + "DF" + text[13:]
        if check(text):
            return text
    sys.exit(f"no valid {kind} of the form {form}")


def mutated(rng, kind, text):
    """The same with another last character, which the reference refuses."""
    check = reference(kind)
    alphabet = LETTERS if text[-1].isalpha() else "0123456789"
    while True:
        other = text[:-1] + rng.choice(alphabet)
        if not check(other):
            return other


def nino(rng):
    return rng.choice("ABCEGHJKLMNOPRSTWXYZ".replace("O", "")) + rng.choice("AEHLMPRSTWXYZ") + fill(rng, "######") + rng.choice("ABCD")


def medicare(rng):
    digits = [rng.randrange(2, 7)] + [rng.randrange(10) for _ in range(7)]
    check = sum(d * w for d, w in zip(digits, [1, 3, 7, 9, 1, 3, 7, 9])) % 10
    return "".join(map(str, digits)) + str(check) + str(rng.randrange(1, 10))


def ids():
    rng = random.Random(20130101)
    out = {}
    for kind, (_, forms) in KINDS.items():
        good = [valid(rng, kind, form) for form in forms for _ in range(12 // len(forms))]
        entry = out.setdefault(kind.strip(), {"valid": [], "invalid": []})
        entry["valid"] += good
        entry["invalid"] += [mutated(rng, kind, text) for text in good]
    write(GOLDEN / "ids.json", out)


def locale_tables(dev):
    """Locale, then column: (class, names in development and in test, generator)."""
    from faker import Faker

    seed = 1 if dev else 20260802
    rng = random.Random(seed)

    def dob(f):
        return f.date_of_birth(minimum_age=0, maximum_age=95)

    specs = {
        "en_US": [
            ("person_name", ["first_name", "GivenName"], lambda f: f.first_name()),
            ("person_name", ["last_name", "surname"], lambda f: f.last_name()),
            ("email", ["email", "E-Mail Address"], lambda f: f.email()),
            ("phone", ["phone", "mobile_number"], lambda f: f.phone_number()),
            ("address", ["street_address", "addressLine1"], lambda f: f.street_address()),
            ("address?", ["city", "town"], lambda f: f.city()),
            ("postcode", ["zip", "zip_code"], lambda f: f.postcode()),
            ("birth_date", ["dob", "BirthDate"], lambda f: dob(f).isoformat()),
            ("national_id", ["ssn", "socialSecurityNumber"], lambda f: f.ssn()),
            ("card", ["card_number", "credit_card"], lambda f: f.credit_card_number()),
            ("free_text", ["notes", "comment"], lambda f: f.sentence(9) + (f" write to {f.email()} " if rng.random() < 0.5 else " ") + f.sentence(5)),
        ],
        "en_GB": [
            ("person_name", ["name", "Full Name"], lambda f: f.first_name() + " " + f.last_name()),
            ("email", ["mail", "email_addr"], lambda f: f.email()),
            ("phone", ["telephone", "contact phone"], lambda f: f.phone_number()),
            ("address", ["address", "home_address"], lambda f: f.street_address()),
            ("postcode", ["postcode", "post_code"], lambda f: f.postcode()),
            ("national_id", ["nino", "NI number"], lambda f: nino(rng)),
            ("birth_date", ["date_of_birth", "born"], lambda f: dob(f).strftime("%d/%m/%Y")),
            ("iban", ["iban", "bank_account"], lambda f: f.iban()),
            ("bic", ["bic", "swift"], lambda f: f.swift()),
            ("ip_address", ["ip", "last_login_ip"], lambda f: f.ipv4_public()),
        ],
        "en_AU": [
            ("person_name", ["given", "forename"], lambda f: f.first_name()),
            ("person_name", ["familyName", "lname"], lambda f: f.last_name()),
            ("phone", ["mobile", "tel"], lambda f: f.phone_number()),
            ("address", ["street", "residential_address"], lambda f: f.street_address()),
            ("national_id", ["tfn", "tax_file_number"], lambda f: valid(rng, "au_tfn", "### ### ###")),
            ("national_id", ["medicare_no", "MedicareNumber"], lambda f: medicare(rng)),
            ("document", ["passport_no", "driver_licence"], lambda f: rng.choice(LETTERS) + fill(rng, "#######")),
        ],
        "de_DE": [
            ("person_name", ["vorname", "Vorname"], lambda f: f.first_name()),
            ("person_name", ["nachname", "familienname"], lambda f: f.last_name()),
            ("email", ["email", "e_mail"], lambda f: f.email()),
            ("phone", ["telefon", "Telefonnummer"], lambda f: f.phone_number()),
            ("address", ["strasse", "Anschrift"], lambda f: f.street_address()),
            ("address?", ["ort", "wohnort"], lambda f: f.city()),
            ("postcode", ["plz", "Postleitzahl"], lambda f: f.postcode()),
            ("birth_date", ["geburtsdatum", "geb_datum geburtstag"], lambda f: dob(f).strftime("%d.%m.%Y")),
            ("national_id", ["steuer_id", "steueridentifikationsnummer"], lambda f: valid(rng, "de_steuer_id", "###########")),
            ("iban", ["iban", "kontonummer"], lambda f: f.iban()),
        ],
        "fr_FR": [
            ("person_name", ["prenom", "Prénom"], lambda f: f.first_name()),
            ("person_name", ["nom", "nom_de_famille"], lambda f: f.last_name()),
            ("email", ["courriel", "adresse_mail"], lambda f: f.email()),
            ("phone", ["telephone", "tel_portable"], lambda f: f.phone_number()),
            ("address", ["adresse", "rue"], lambda f: f.street_address()),
            ("postcode", ["code_postal", "cp"], lambda f: f.postcode()),
            ("birth_date", ["date_naissance", "dateDeNaissance"], lambda f: dob(f).strftime("%d/%m/%Y")),
            ("national_id", ["nir", "numero_securite_sociale"], lambda f: valid(rng, "fr_nir", "1 ## 08 ## ### ### ##")),
        ],
        "es_ES": [
            ("person_name", ["nombre", "nombre_completo"], lambda f: f.first_name()),
            ("person_name", ["apellidos", "apellido"], lambda f: f.last_name() + " " + f.last_name()),
            ("email", ["correo", "correo_electronico"], lambda f: f.email()),
            ("phone", ["telefono", "movil"], lambda f: f.phone_number()),
            ("address", ["direccion", "domicilio"], lambda f: f.street_address()),
            ("national_id", ["dni", "nif"], lambda f: valid(rng, "es_dni", "########?")),
            ("birth_date", ["fecha_nacimiento", "fechaDeNacimiento"], lambda f: dob(f).isoformat()),
        ],
        "it_IT": [
            ("person_name", ["cognome", "Cognome"], lambda f: f.last_name()),
            ("phone", ["cellulare", "telefono"], lambda f: f.phone_number()),
            ("address", ["indirizzo", "indirizzo_residenza"], lambda f: f.street_address()),
            ("national_id", ["codice_fiscale", "CodiceFiscale"], lambda f: f.ssn()),
            ("postcode", ["cap", "CAP"], lambda f: f.postcode()),
            ("birth_date", ["data_nascita", "dataDiNascita"], lambda f: dob(f).strftime("%d/%m/%Y")),
        ],
        "nl_NL": [
            ("person_name", ["voornaam", "Voornaam"], lambda f: f.first_name()),
            ("person_name", ["achternaam", "Achternaam"], lambda f: f.last_name()),
            ("phone", ["telefoon", "telefoonnummer"], lambda f: f.phone_number()),
            ("address", ["straat", "adres"], lambda f: f.street_address()),
            ("postcode", ["postcode", "Postcode"], lambda f: f.postcode()),
            ("national_id", ["bsn", "burgerservicenummer"], lambda f: valid(rng, "nl_bsn", "#########")),
        ],
        "pl_PL": [
            ("person_name", ["imie", "imię"], lambda f: f.first_name()),
            ("person_name", ["nazwisko", "Nazwisko"], lambda f: f.last_name()),
            ("national_id", ["pesel", "PESEL"], lambda f: f.ssn()),
            ("address", ["ulica", "adres"], lambda f: f.street_address()),
            ("postcode", ["kod_pocztowy", "kodPocztowy"], lambda f: f.postcode()),
            ("birth_date", ["data_urodzenia", "urodzony data_urodzenia"], lambda f: dob(f).isoformat()),
        ],
        "sv_SE": [
            ("person_name", ["fornamn", "förnamn"], lambda f: f.first_name()),
            ("person_name", ["efternamn", "Efternamn"], lambda f: f.last_name()),
            ("national_id", ["personnummer", "persnr"], lambda f: f.ssn()),
            ("phone", ["mobil", "mobilnummer"], lambda f: f.phone_number()),
            ("address", ["gatuadress", "adress"], lambda f: f.street_address()),
        ],
        "pt_BR": [
            ("person_name", ["nome", "nome_completo"], lambda f: f.first_name() + " " + f.last_name()),
            ("national_id", ["cpf", "CPF"], lambda f: valid(rng, "br_cpf", "###.###.###-##")),
            ("phone", ["telefone", "celular"], lambda f: f.phone_number()),
            ("address", ["endereco", "logradouro"], lambda f: f.street_address()),
            ("postcode", ["cep", "CEP"], lambda f: f.postcode()),
        ],
        "en_IN": [
            ("person_name", ["customer_name", "patientName"], lambda f: f.name()),
            ("national_id", ["aadhaar", "aadhar_no"], lambda f: valid(rng, "in_aadhaar", "#### #### ####")),
            ("email", ["email_id", "user_email"], lambda f: f.email()),
            ("mac_address", ["mac", "device_mac"], lambda f: f.mac_address()),
            ("ip_address", ["client_ip", "remote_addr"], lambda f: f.ipv6()),
            ("location", ["home_location", "user_coordinates"], lambda f: f"{rng.uniform(8, 30):.6f},{rng.uniform(70, 90):.6f}"),
        ],
    }
    for locale, columns in specs.items():
        fake = Faker(locale)
        fake.seed_instance(seed)
        made = []
        for truth, names, make in columns:
            values = [make(fake).replace("\n", ", ") for _ in range(ROWS)]
            made.append({"name": names[0 if dev else 1], "truth": truth, "values": values})
        yield {"name": f"persons {locale}", "columns": made}


def look_alikes(dev):
    from faker import Faker

    seed = 2 if dev else 78
    rng = random.Random(seed)
    fake = Faker("en_US")
    fake.seed_instance(seed)
    digits = lambda n: "".join(rng.choice("0123456789") for _ in range(n))
    when = lambda: fake.date_time_between("-3y")
    hexes = lambda n: "".join(rng.choice("0123456789abcdef") for _ in range(n))
    sold = ["Jordan Pro", "Morgan 4 Seater", "Oxford Chair", "Taylor Guitar", "Dyson V11", "Ford Focus", "Dell XPS", "Bosch Drill"]
    shops = ["Aldi", "Walmart", "Target", "Costco", "Carrefour", "Lidl", "Tesco", "Migros", "Kroger", "Publix"]
    tables = {
        "orders": [
            ("order_number", "orderNo", lambda: str(100000 + rng.randrange(900000))),
            ("order_code", "reference", lambda: f"ORD-{rng.randrange(10**7):07}"),
            ("transaction", "transaction_id", lambda: digits(16)),
            ("sku", "SKU", lambda: f"{rng.choice(LETTERS)}{rng.choice(LETTERS)}-{digits(5)}"),
            ("product", "product_name", lambda: rng.choice(sold) + f" {rng.randrange(1, 9)}"),
            ("price", "unitPrice", lambda: f"{rng.uniform(1, 900):.2f}"),
            ("currency", "ccy", lambda: fake.currency_code()),
            ("quantity", "qty", lambda: str(rng.randrange(1, 40))),
            ("created_at", "ordered_at", lambda: when().isoformat()),
            ("ship_date", "delivered_on", lambda: when().date().isoformat()),
            ("status", "state_text", lambda: rng.choice(["open", "closed", "shipped", "returned"])),
            ("tracking", "parcel", lambda: f"1Z{digits(6)}{rng.choice(LETTERS)}{digits(9)}"),
            ("warehouse", "store", lambda: rng.choice(shops)),
            ("discount", "rebate", lambda: f"0.{digits(9)}"),
        ],
        "build": [
            ("version", "release", lambda: f"{rng.randrange(12)}.{rng.randrange(30)}.{rng.randrange(99)}"),
            ("build", "firmware_version", lambda: f"{rng.randrange(10)}.{rng.randrange(200)}.{rng.randrange(99)}.{rng.randrange(250)}"),
            ("sha256", "digest", lambda: hexes(64)),
            ("commit", "revision", lambda: hexes(40)),
            ("uuid", "id", lambda: str(uuid.UUID(int=rng.getrandbits(128)))),
            ("host", "hostname", lambda: fake.hostname()),
            ("url", "link", lambda: fake.url() + fake.uri_path()),
            ("path", "file", lambda: fake.file_path()),
            ("file_name", "fileName", lambda: fake.file_name()),
            ("user_agent", "agent", lambda: fake.user_agent()),
            ("port", "port", lambda: str(fake.port_number())),
            ("level", "severity", lambda: rng.choice(["INFO", "WARN", "ERROR", "DEBUG"])),
            ("epoch_ms", "ts", lambda: str(int(when().timestamp() * 1000))),
            ("epoch", "unix_time", lambda: str(int(when().timestamp()))),
        ],
        "catalogue": [
            ("ean", "ean13", lambda: fake.ean13()),
            ("isbn", "isbn13", lambda: fake.isbn13()),
            ("isbn10", "isbn_10", lambda: fake.isbn10()),
            ("book_title", "title", lambda: " ".join(fake.words(3)).title()),
            ("colour", "color", lambda: rng.choice(["Black", "White", "Green", "Brown", "Gray", "Blue", "Red", "Rose", "Violet", "Amber"])),
            ("month", "month_name", lambda: fake.month_name()),
            ("weekday", "day", lambda: fake.day_of_week()),
            ("job", "occupation", lambda: fake.job()),
            ("company", "supplier", lambda: fake.company()),
            ("slogan", "catch_phrase", lambda: fake.catch_phrase()),
            ("description", "summary", lambda: fake.sentence(12)),
            ("category", "genre", lambda: rng.choice(["Fiction", "History", "Science", "Travel", "Poetry", "Crime"])),
            ("language", "lang", lambda: fake.language_name()),
            ("part_number", "part", lambda: f"{digits(4)}-{digits(3)}-{digits(2)}"),
        ],
        "places": [
            ("code", "iata", lambda: "".join(rng.choice(LETTERS) for _ in range(3))),
            ("airport_name", "airport", lambda: fake.city() + " Airport"),
            ("city", "municipality", lambda: fake.city()),
            ("country", "country_name", lambda: fake.country()),
            ("country_code", "iso2", lambda: fake.country_code()),
            ("lat", "latitude", lambda: f"{rng.uniform(-60, 70):.6f}"),
            ("lon", "longitude", lambda: f"{rng.uniform(-179, 179):.6f}"),
            ("altitude", "elevation_ft", lambda: str(rng.randrange(9000))),
            ("tz", "timezone", lambda: fake.timezone()),
            ("runway", "gate", lambda: f"{rng.randrange(1, 37):02}{rng.choice('LRC')}"),
            ("tail_number", "registration", lambda: f"N{digits(3)}{rng.choice(LETTERS)}{rng.choice(LETTERS)}"),
            ("opened", "founded", lambda: str(rng.randrange(1900, 2020))),
        ],
        "numbers": [
            ("meter", "serial", lambda: digits(9)),
            ("case_no", "claim", lambda: digits(10)),
            ("policy", "contract", lambda: digits(11)),
            ("batch", "lot", lambda: digits(12)),
            ("ledger", "document_key", lambda: digits(8)),
            ("imei_like", "unit_serial", lambda: digits(15)),
            ("score", "rating", lambda: f"{rng.gauss(0, 1):.4f}"),
            ("share", "ratio", lambda: f"{rng.random():.3f}"),
            ("code8", "symbol", lambda: "".join(rng.choice(LETTERS) for _ in range(8))),
            ("token", "nonce", lambda: hashlib.md5(str(rng.random()).encode()).hexdigest()),
            ("reading", "level_mm", lambda: str(rng.randrange(-50, 5000))),
            ("slot", "period", lambda: when().strftime("%Y%m%d%H%M")),
            ("day", "business_date", lambda: when().strftime("%Y%m%d")),
            ("formula", "recipe", lambda: f"{rng.choice('ABC')}{rng.randrange(10)}-{hexes(4)}"),
        ],
    }
    for name, columns in tables.items():
        made = [
            {"name": names[0 if dev else 1], "truth": "none", "values": [make() for _ in range(ROWS)]}
            for *names, make in columns
        ]
        yield {"name": name, "columns": made}


def columns(dev=False, path=None):
    tables = [*locale_tables(dev), *look_alikes(dev)]
    write(pathlib.Path(path) if path else GOLDEN / "columns.json", {"tables": tables})


def lists(folder):
    import zstandard

    folder = pathlib.Path(folder)
    read = lambda name, most=None: [line.split()[0].lower() for line in open(folder / name)][:most]
    given = set(read("dist.female.first") + read("dist.male.first"))
    for name, words in (("given", given), ("surnames", set(read("dist.all.last", 25_000)))):
        text = "\n".join(sorted(words)).encode()
        (ROOT / f"data/{name}.txt.zst").write_bytes(zstandard.ZstdCompressor(level=22).compress(text))


def peer(febrl):
    """Presidio's recognizers on the same columns: personal when half of the values have an entity of score 0.5.

    Its recognizers of names and places need a language model, which is not loaded here: their columns are counted
    apart.
    """
    import pyarrow.parquet
    import spacy
    import tldextract
    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
    from presidio_analyzer.nlp_engine import SpacyNlpEngine

    # The list of domains that came with the package, so that nothing is fetched.
    tldextract.extract = tldextract.TLDExtract(suffix_list_urls=())
    nlp = SpacyNlpEngine()
    nlp.nlp = {"en": spacy.blank("en")}
    registry = RecognizerRegistry(supported_languages=["en"])
    registry.load_predefined_recognizers(languages=["en"])
    engine = AnalyzerEngine(nlp_engine=nlp, registry=registry, supported_languages=["en"])

    def personal(name, values):
        hits = 0
        for value in values:
            found = engine.analyze(text=str(value), language="en", context=name.replace("_", " ").split())
            hits += any(result.score >= 0.5 for result in found)
        return hits * 2 >= len(values)

    def count(title, columns):
        patterned = {"email", "phone", "card", "iban", "national_id", "ip_address", "mac_address", "free_text", "bic", "document"}
        found = missed = alarms = missed_patterned = patterned_all = 0
        for name, truth, values in columns:
            if truth.endswith("?"):
                continue
            says = personal(name, values)
            found += says and truth != "none"
            missed += not says and truth != "none"
            alarms += says and truth == "none"
            patterned_all += truth in patterned
            missed_patterned += truth in patterned and not says
        print(
            f"{title}: precision {found / max(1, found + alarms):.3f}, recall {found / (found + missed):.3f}, "
            f"of columns with a pattern {1 - missed_patterned / max(1, patterned_all):.3f}"
        )

    golden = json.loads((GOLDEN / "columns.json").read_text())
    generated = [(c["name"], c["truth"], c["values"]) for t in golden["tables"] for c in t["columns"]]
    count("generated set", generated)
    table = pyarrow.parquet.read_table(febrl).slice(0, 200)
    harmless = {"rec_id", "state", "source", "person_key"}
    kinds = {"soc_sec_id": "national_id", "date_of_birth": "birth_date"}
    persons = [
        (name, "none" if name in harmless else kinds.get(name, "person_name"), [v for v in table[name].to_pylist() if v is not None])
        for name in table.column_names
    ]
    count("febrl_persons", persons)


def write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n")
    print(path, path.stat().st_size)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["ids"]:
            ids()
        case ["columns"]:
            columns()
        case ["columns", "dev", path]:
            columns(True, path)
        case ["lists", folder]:
            lists(folder)
        case ["peer", febrl]:
            peer(febrl)
        case _:
            sys.exit(__doc__)

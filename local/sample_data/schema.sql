-- A food-delivery company's database: nine tables, made up in every name and number.
-- Loads into the current (empty) database of MySQL 8.0 and later or MariaDB 10.11 and later.
--
-- Two habits stand side by side, as they do in a database that grew:
--   modifiedDate by the server (ON UPDATE)       customer restaurant menu delivery_agent delivery
--   modifiedDate by the application, or never     location customer_address orders order_item
-- and one table, delivery, keeps its cursor columns to the microsecond.

SET NAMES utf8mb4;

CREATE TABLE location (
  location_id INT UNSIGNED NOT NULL AUTO_INCREMENT,
  city VARCHAR(80) NOT NULL,
  state VARCHAR(80) NOT NULL,
  pin_code CHAR(6) NOT NULL,
  latitude DECIMAL(9,6) NOT NULL,
  longitude DECIMAL(9,6) NOT NULL,
  is_serviceable TINYINT(1) NOT NULL DEFAULT 1,
  createdDate DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
  modifiedDate DATETIME NULL,
  PRIMARY KEY (location_id),
  KEY location_pin_code (pin_code),
  KEY location_created (createdDate),
  KEY location_modified (modifiedDate)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE customer (
  customer_id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  full_name VARCHAR(120) NOT NULL,
  email VARCHAR(190) NOT NULL,
  mobile VARCHAR(20) NOT NULL,
  date_of_birth DATE NULL,
  preferences JSON NULL,
  loyalty_points INT NOT NULL DEFAULT 0,
  marketing_opt_in TINYINT(1) NOT NULL DEFAULT 0,
  createdDate DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
  modifiedDate DATETIME NULL ON UPDATE CURRENT_TIMESTAMP,
  PRIMARY KEY (customer_id),
  UNIQUE KEY customer_email (email),
  KEY customer_created (createdDate),
  KEY customer_modified (modifiedDate)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- closes_at goes past 24:00:00 for those who close after midnight.
CREATE TABLE restaurant (
  restaurant_id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  location_id INT UNSIGNED NOT NULL,
  restaurant_name VARCHAR(120) NOT NULL,
  cuisines SET('South Indian','North Indian','Mughlai','Continental','Seafood','Bakery','Snacks','Desserts') NOT NULL,
  opens_at TIME NOT NULL,
  closes_at TIME NOT NULL,
  rating DECIMAL(2,1) NULL,
  rating_count INT UNSIGNED NOT NULL DEFAULT 0,
  is_pure_veg TINYINT(1) NOT NULL DEFAULT 0,
  avg_prep_minutes SMALLINT UNSIGNED NOT NULL,
  description TEXT NULL,
  createdDate DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
  modifiedDate DATETIME NULL ON UPDATE CURRENT_TIMESTAMP,
  PRIMARY KEY (restaurant_id),
  KEY restaurant_created (createdDate),
  KEY restaurant_modified (modifiedDate),
  CONSTRAINT restaurant_location FOREIGN KEY (location_id) REFERENCES location (location_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE delivery_agent (
  delivery_agent_id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  location_id INT UNSIGNED NOT NULL,
  full_name VARCHAR(120) NOT NULL,
  mobile VARCHAR(20) NOT NULL,
  vehicle ENUM('bicycle','scooter','electric scooter','motorcycle') NOT NULL,
  joined_on DATE NOT NULL,
  rating FLOAT NULL,
  device_token VARBINARY(32) NULL,
  is_active TINYINT(1) NOT NULL DEFAULT 1,
  createdDate DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
  modifiedDate DATETIME NULL ON UPDATE CURRENT_TIMESTAMP,
  PRIMARY KEY (delivery_agent_id),
  UNIQUE KEY delivery_agent_mobile (mobile),
  KEY delivery_agent_created (createdDate),
  KEY delivery_agent_modified (modifiedDate),
  CONSTRAINT delivery_agent_location FOREIGN KEY (location_id) REFERENCES location (location_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE customer_address (
  customer_address_id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  customer_id BIGINT UNSIGNED NOT NULL,
  location_id INT UNSIGNED NOT NULL,
  label ENUM('Home','Work','Other') NOT NULL DEFAULT 'Home',
  line1 VARCHAR(200) NOT NULL,
  line2 VARCHAR(200) NULL,
  landmark VARCHAR(120) NULL,
  instructions TEXT NULL,
  is_default TINYINT(1) NOT NULL DEFAULT 0,
  createdDate DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
  modifiedDate DATETIME NULL,
  PRIMARY KEY (customer_address_id),
  KEY customer_address_created (createdDate),
  KEY customer_address_modified (modifiedDate),
  CONSTRAINT customer_address_customer FOREIGN KEY (customer_id) REFERENCES customer (customer_id),
  CONSTRAINT customer_address_location FOREIGN KEY (location_id) REFERENCES location (location_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE menu (
  menu_id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  restaurant_id BIGINT UNSIGNED NOT NULL,
  item_name VARCHAR(120) NOT NULL,
  description VARCHAR(500) NULL,
  category VARCHAR(40) NOT NULL,
  price DECIMAL(10,2) NOT NULL,
  is_veg TINYINT(1) NOT NULL,
  is_available TINYINT(1) NOT NULL DEFAULT 1,
  calories SMALLINT UNSIGNED NULL,
  createdDate DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
  modifiedDate DATETIME NULL ON UPDATE CURRENT_TIMESTAMP,
  PRIMARY KEY (menu_id),
  KEY menu_restaurant_category (restaurant_id, category),
  KEY menu_created (createdDate),
  KEY menu_modified (modifiedDate),
  CONSTRAINT menu_restaurant FOREIGN KEY (restaurant_id) REFERENCES restaurant (restaurant_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE orders (
  orders_id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  customer_id BIGINT UNSIGNED NOT NULL,
  restaurant_id BIGINT UNSIGNED NOT NULL,
  customer_address_id BIGINT UNSIGNED NOT NULL,
  status ENUM('PLACED','ACCEPTED','PREPARING','OUT_FOR_DELIVERY','DELIVERED','CANCELLED') NOT NULL DEFAULT 'PLACED',
  payment_method ENUM('UPI','CARD','WALLET','NETBANKING','COD') NOT NULL,
  items_total DECIMAL(10,2) NOT NULL,
  tax DECIMAL(10,2) NOT NULL,
  delivery_fee DECIMAL(10,2) NOT NULL DEFAULT 0.00,
  discount DECIMAL(10,2) NOT NULL DEFAULT 0.00,
  total DECIMAL(10,2) NOT NULL,
  coupon_code VARCHAR(20) NULL,
  special_instructions TEXT NULL,
  ordered_at DATETIME(3) NOT NULL,
  createdDate DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
  modifiedDate DATETIME NULL,
  PRIMARY KEY (orders_id),
  KEY orders_status (status),
  KEY orders_created (createdDate),
  KEY orders_modified (modifiedDate),
  CONSTRAINT orders_customer FOREIGN KEY (customer_id) REFERENCES customer (customer_id),
  CONSTRAINT orders_restaurant FOREIGN KEY (restaurant_id) REFERENCES restaurant (restaurant_id),
  CONSTRAINT orders_customer_address FOREIGN KEY (customer_address_id) REFERENCES customer_address (customer_address_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE order_item (
  orders_id BIGINT UNSIGNED NOT NULL,
  line_number SMALLINT UNSIGNED NOT NULL,
  menu_id BIGINT UNSIGNED NOT NULL,
  quantity SMALLINT UNSIGNED NOT NULL,
  unit_price DECIMAL(10,2) NOT NULL,
  line_total DECIMAL(12,2) GENERATED ALWAYS AS (quantity * unit_price) STORED,
  note VARCHAR(200) NULL,
  createdDate DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
  modifiedDate DATETIME NULL,
  PRIMARY KEY (orders_id, line_number),
  KEY order_item_created (createdDate),
  KEY order_item_modified (modifiedDate),
  CONSTRAINT order_item_orders FOREIGN KEY (orders_id) REFERENCES orders (orders_id),
  CONSTRAINT order_item_menu FOREIGN KEY (menu_id) REFERENCES menu (menu_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE delivery (
  delivery_id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  orders_id BIGINT UNSIGNED NOT NULL,
  delivery_agent_id BIGINT UNSIGNED NULL,
  status ENUM('ASSIGNED','PICKED_UP','DELIVERED','RETURNED') NOT NULL DEFAULT 'ASSIGNED',
  picked_up_at DATETIME(3) NULL,
  delivered_at TIMESTAMP NULL DEFAULT NULL,
  distance_km DECIMAL(5,2) NOT NULL,
  tip DECIMAL(8,2) NOT NULL DEFAULT 0.00,
  route JSON NULL,
  createdDate DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  modifiedDate DATETIME(6) NULL ON UPDATE CURRENT_TIMESTAMP(6),
  PRIMARY KEY (delivery_id),
  UNIQUE KEY delivery_orders (orders_id),
  KEY delivery_created (createdDate),
  KEY delivery_modified (modifiedDate),
  CONSTRAINT delivery_of_orders FOREIGN KEY (orders_id) REFERENCES orders (orders_id),
  CONSTRAINT delivery_by_agent FOREIGN KEY (delivery_agent_id) REFERENCES delivery_agent (delivery_agent_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

INSERT INTO location
  (location_id, city, state, pin_code, latitude, longitude, is_serviceable, createdDate, modifiedDate)
VALUES
  (1, 'Bengaluru', 'Karnataka', '560034', 12.935242, 77.624481, 1, '2025-03-01 09:00:00', NULL),
  (2, 'Bengaluru', 'Karnataka', '560038', 12.978370, 77.640840, 1, '2025-03-01 09:00:00', '2025-03-18 11:42:10'),
  (3, 'Mumbai', 'Maharashtra', '400050', 19.054999, 72.840220, 1, '2025-03-01 09:05:00', NULL),
  (4, 'New Delhi', 'Delhi', '110016', 28.549300, 77.202100, 1, '2025-03-01 09:05:00', NULL),
  (5, 'Pondichéry', 'Puducherry', '605001', 11.934057, 79.830645, 1, '2025-03-03 10:15:30', NULL),
  (6, 'Chennai', 'Tamil Nadu', '600017', 13.041800, 80.234100, 1, '2025-03-03 10:15:30', '2025-04-01 08:00:00'),
  (7, 'Hyderabad', 'Telangana', '500081', 17.448294, 78.391487, 1, '2025-03-05 16:20:00', NULL),
  (8, 'Leh', 'Ladakh', '194101', 34.152588, 77.577049, 0, '2025-03-28 12:00:00', NULL);

INSERT INTO customer
  (customer_id, full_name, email, mobile, date_of_birth, preferences, loyalty_points, marketing_opt_in, createdDate, modifiedDate)
VALUES
  (1, 'Ananya Iyer', 'ananya.iyer@example.in', '+91 98450 11201', '1991-07-14', '{"diet": "veg", "spice": 3, "cutlery": false}', 420, 1, '2025-03-02 08:11:09', NULL),
  (2, 'Rohan D''Souza', 'rohan.dsouza@example.in', '+91 98200 33417', '1988-12-01', '{"diet": "any", "spice": 2}', 1180, 0, '2025-03-02 09:47:55', '2025-03-21 20:15:01'),
  (3, 'Zoë Fernandes', 'zoe.fernandes@example.in', '+91 98190 70022', '1996-02-29', NULL, 65, 1, '2025-03-03 12:30:00', NULL),
  (4, 'Kabir Singh "Bunty" Gill', 'bunty.gill@example.in', '+91 99100 45678', NULL, '{"diet": "any", "languages": ["pa", "hi", "en"]}', 0, 1, '2025-03-04 18:05:42', NULL),
  (5, 'मीरा शर्मा', 'meera.sharma@example.in', '+91 98110 20304', '1979-10-31', '{"diet": "jain", "no": ["onion", "garlic"]}', 2310, 1, '2025-03-06 07:59:59', '2025-04-02 09:30:12'),
  (6, 'Aditya Rao', 'aditya.rao@example.in', '+91 90080 99001', '2001-05-05', '{}', 15, 0, '2025-03-09 21:22:23', NULL),
  (7, 'கவிதா முருகன்', 'kavitha.murugan@example.in', '+91 94440 12121', '1985-01-15', NULL, 730, 1, '2025-03-11 13:14:15', NULL),
  (8, 'François Léger', 'francois.leger@example.in', '+91 94890 65432', '1972-08-23', '{"diet": "any", "note": "pain au chocolat, s''il vous plaît"}', 90, 0, '2025-03-12 10:00:00', NULL),
  (9, 'Farhan Ali, Dr.', 'farhan.ali@example.in', '+91 90000 47110', '1983-03-03', '{"diet": "halal", "spice": 5}', 1525, 1, '2025-03-15 19:45:30', '2025-03-30 22:10:45'),
  (10, 'Priya 🌶️ Nair', 'priya.nair@example.in', '+91 97400 80808', '1999-11-11', '{"diet": "veg", "spice": 9, "emoji": "🌶️"}', 305, 1, '2025-03-19 23:59:59', NULL),
  (11, 'Tenzin Dolma', 'tenzin.dolma@example.in', '+91 96220 31313', NULL, NULL, 0, 0, '2025-03-29 06:40:00', NULL),
  (12, 'Sunil O''Brien-Menon', 'sunil.menon@example.in', '+91 98840 52525', '1994-06-18', '{"diet": "any"}', 50, 1, '2025-04-01 00:00:00', NULL);

INSERT INTO restaurant
  (restaurant_id, location_id, restaurant_name, cuisines, opens_at, closes_at, rating, rating_count, is_pure_veg, avg_prep_minutes, description, createdDate, modifiedDate)
VALUES
  (1, 1, 'Udupi Sagar', 'South Indian,Snacks', '07:00:00', '22:30:00', 4.4, 5210, 1, 12, 'Tiffin since 1978.\nNo onion, no garlic on request.', '2025-03-01 10:00:00', NULL),
  (2, 1, 'Biryani & Co.', 'Mughlai,North Indian', '11:30:00', '25:30:00', 4.1, 8833, 0, 28, NULL, '2025-03-01 10:00:00', '2025-03-25 15:00:00'),
  (3, 2, 'Café Très Bon', 'Continental,Bakery', '08:30:00', '23:00:00', 4.6, 940, 0, 18, 'Croissants at 8:30, gone by 10.', '2025-03-01 10:10:00', NULL),
  (4, 3, 'Bademiya''s Rolls', 'Mughlai,Snacks', '18:00:00', '27:00:00', 4.0, 12044, 0, 15, '', '2025-03-01 10:10:00', NULL),
  (5, 4, 'Dilli "6" Chaat House', 'North Indian,Snacks,Desserts', '10:00:00', '22:00:00', 3.9, 2761, 1, 10, 'The "6" is the old pin code, not the size of the samosa', '2025-03-02 11:00:00', '2025-03-31 09:12:44'),
  (6, 5, 'Le Dupleix', 'Continental,Seafood', '12:00:00', '22:30:00', NULL, 0, 0, 35, NULL, '2025-03-10 12:00:00', NULL),
  (7, 6, 'Murugan Idli Kadai', 'South Indian', '06:00:00', '23:00:00', 4.7, 15320, 1, 8, 'இட்லி, சட்னி, சாம்பார்', '2025-03-04 09:30:00', NULL),
  (8, 7, 'Paradise of Pearls 🍚', 'Mughlai', '11:00:00', '24:00:00', 4.3, 20117, 0, 25, NULL, '2025-03-06 14:00:00', '2025-04-02 10:20:30');

INSERT INTO delivery_agent
  (delivery_agent_id, location_id, full_name, mobile, vehicle, joined_on, rating, device_token, is_active, createdDate, modifiedDate)
VALUES
  (1, 1, 'Manjunath K.', '+91 99001 00001', 'motorcycle', '2023-11-02', 4.82, X'9F00C41D2E7B4A55', 1, '2025-03-01 06:00:00', NULL),
  (2, 1, 'Lakshmi Devi', '+91 99001 00002', 'electric scooter', '2024-06-17', 4.95, X'01A2FFEE00C0DE77', 1, '2025-03-01 06:00:00', '2025-03-27 21:05:00'),
  (3, 3, 'Imran Shaikh', '+91 99001 00003', 'motorcycle', '2022-01-10', 4.5, NULL, 1, '2025-03-01 06:05:00', NULL),
  (4, 4, 'Gurpreet ''Guri'' Singh', '+91 99001 00004', 'scooter', '2024-12-24', 4.61, X'5C275C0A22002C0D', 1, '2025-03-02 06:00:00', NULL),
  (5, 5, 'Jean-Noël Arul', '+91 99001 00005', 'bicycle', '2025-02-28', NULL, NULL, 1, '2025-03-05 06:00:00', NULL),
  (6, 6, 'Selvi R.', '+91 99001 00006', 'scooter', '2023-04-14', 4.77, X'FEEDFACECAFEBEEF', 1, '2025-03-05 06:00:00', '2025-04-01 23:59:58'),
  (7, 7, 'Venkat Reddy', '+91 99001 00007', 'motorcycle', '2021-08-15', 3.9, NULL, 0, '2025-03-07 06:00:00', '2025-03-31 18:00:00');

INSERT INTO customer_address
  (customer_address_id, customer_id, location_id, label, line1, line2, landmark, instructions, is_default, createdDate, modifiedDate)
VALUES
  (1, 1, 1, 'Home', '12, 4th Cross, Koramangala', '2nd floor', NULL, 'Ring twice\nDo not call after 21:00', 1, '2025-03-02 08:13:00', NULL),
  (2, 1, 2, 'Work', 'Tower B, 7th floor, Indiranagar', '', 'opp. metro station', NULL, 0, '2025-03-02 08:15:31', '2025-03-17 10:00:00'),
  (3, 2, 3, 'Home', 'Flat 3/B, "Sea Breeze", Hill Road', NULL, 'St. Andrew''s Church', 'Gate code #4471', 1, '2025-03-02 09:50:12', NULL),
  (4, 3, 3, 'Home', '15 Chapel Road', '', NULL, NULL, 1, '2025-03-03 12:31:44', NULL),
  (5, 4, 4, 'Home', 'H-27, Hauz Khas Enclave', 'Barsati', 'Deer Park gate', NULL, 1, '2025-03-04 18:07:00', NULL),
  (6, 5, 4, 'Home', 'A-9, Green Park Main', 'भूतल', 'गुरुद्वारे के सामने', 'घंटी न बजाएँ, बच्चा सो रहा है', 1, '2025-03-06 08:01:02', '2025-03-20 08:00:00'),
  (7, 5, 4, 'Other', 'Mother''s place, C-4/118 SDA', NULL, NULL, '', 0, '2025-03-06 08:04:45', NULL),
  (8, 6, 1, 'Home', 'PG 44, 1st Block', 'Room 9', 'behind the ATM', NULL, 1, '2025-03-09 21:25:00', NULL),
  (9, 7, 6, 'Home', '8, Usman Road, T. Nagar', NULL, 'near Panagal Park', NULL, 1, '2025-03-11 13:16:00', NULL),
  (10, 8, 5, 'Home', '23, rue Dumas', '1er étage', 'face au lycée', 'Sonnez, puis attendez', 1, '2025-03-12 10:02:10', NULL),
  (11, 9, 7, 'Work', 'Cyber Gateway, Block C', 'Level 4', 'HITEC City', 'Leave with security; tell them "Dr. Ali"', 1, '2025-03-15 19:48:00', NULL),
  (12, 10, 1, 'Home', '77 🏠 Lake View Apts, 80 Feet Rd', NULL, NULL, '🐶 friendly, really', 1, '2025-03-20 00:03:21', NULL),
  (13, 11, 8, 'Home', 'Changspa Lane 5', NULL, 'Shanti Stupa stairs', NULL, 1, '2025-03-29 06:42:00', NULL),
  (14, 12, 6, 'Home', 'C:\\Towers\\Block-2, Besant Nagar', NULL, NULL, NULL, 1, '2025-04-01 00:02:00', NULL);

INSERT INTO menu
  (menu_id, restaurant_id, item_name, description, category, price, is_veg, is_available, calories, createdDate, modifiedDate)
VALUES
  (1, 1, 'Masala Dosa', 'Crisp, with potato palya', 'Dosa', 85.00, 1, 1, 387, '2025-03-01 10:21:00', NULL),
  (2, 1, 'Rava Idli (2 pcs)', 'With saagu', 'Idli', 70.00, 1, 1, 210, '2025-03-01 10:22:00', NULL),
  (3, 1, 'Filter Coffee', NULL, 'Drinks', 35.00, 1, 1, 92, '2025-03-01 10:23:00', NULL),
  (4, 2, 'Chicken Dum Biryani', 'Serves 1; raita, salan', 'Biryani', 289.00, 0, 1, 840, '2025-03-01 10:24:00', '2025-03-25 15:05:00'),
  (5, 2, 'Paneer Biryani', 'Serves 1', 'Biryani', 249.00, 1, 1, 760, '2025-03-01 10:25:00', NULL),
  (6, 2, 'Double Ka Meetha', '', 'Desserts', 119.50, 1, 0, NULL, '2025-03-01 10:26:00', '2025-04-02 21:40:00'),
  (7, 3, 'Croissant au beurre', 'Plain, 80 g', 'Bakery', 140.00, 1, 1, 330, '2025-03-01 10:10:00', NULL),
  (8, 3, 'Quiche "Lorraine"', 'Contains bacon, egg', 'Mains', 320.00, 0, 1, 610, '2025-03-01 10:10:00', NULL),
  (9, 3, 'Café crème', NULL, 'Drinks', 165.00, 1, 1, 120, '2025-03-01 10:10:00', NULL),
  (10, 4, 'Seekh Roll', 'Mutton, rumali roti', 'Rolls', 210.00, 0, 1, 520, '2025-03-01 10:10:00', NULL),
  (11, 4, 'Chicken Baida Roti', 'Egg-washed, 4 pieces', 'Rolls', 260.00, 0, 1, 690, '2025-03-01 10:10:00', NULL),
  (12, 5, 'Aloo Tikki Chaat', 'Sweet, sour, "thoda teekha"', 'Chaat', 90.00, 1, 1, 410, '2025-03-02 11:32:00', NULL),
  (13, 5, 'Dahi Bhalla', NULL, 'Chaat', 95.00, 1, 1, 300, '2025-03-02 11:33:00', NULL),
  (14, 5, 'Jalebi, 250 g', 'Fresh at 4 p.m.', 'Desserts', 130.00, 1, 1, 925, '2025-03-02 11:34:00', NULL),
  (15, 6, 'Bouillabaisse de Pondichéry', 'Catch of the day', 'Seafood', 695.00, 0, 1, 480, '2025-03-10 12:35:00', NULL),
  (16, 6, 'Crème brûlée', '', 'Desserts', 275.00, 1, 1, 350, '2025-03-10 12:36:00', NULL),
  (17, 7, 'Idli (4 pcs), 4 chutneys', 'சாம்பார் உடன்', 'Idli', 88.00, 1, 1, 260, '2025-03-04 09:30:00', '2025-03-19 05:45:10'),
  (18, 7, 'Ghee Podi Uthappam', NULL, 'Dosa', 132.00, 1, 1, 455, '2025-03-04 09:30:00', NULL),
  (19, 7, 'Jigarthanda', NULL, 'Drinks', 110.00, 1, 1, 390, '2025-03-04 09:30:00', NULL),
  (20, 8, 'Hyderabadi Mutton Biryani', 'Kachchi yakhni; boiled egg', 'Biryani', 385.00, 0, 1, 980, '2025-03-06 14:40:00', NULL),
  (21, 8, 'Mirchi Ka Salan', '🌶️🌶️🌶️', 'Sides', 145.00, 1, 1, 280, '2025-03-06 14:41:00', NULL),
  (22, 8, 'Qubani Ka Meetha', 'Apricots & cream', 'Desserts', 160.00, 1, 1, 340, '2025-03-06 14:42:00', NULL);

INSERT INTO orders
  (orders_id, customer_id, restaurant_id, customer_address_id, status, payment_method, items_total, tax, delivery_fee, discount, total, coupon_code, special_instructions, ordered_at, createdDate, modifiedDate)
VALUES
  (1, 1, 1, 1, 'DELIVERED', 'UPI', 240.00, 12.00, 29.00, 0.00, 281.00, NULL, NULL, '2025-03-10 08:31:12.104', '2025-03-10 08:31:12', '2025-03-10 09:04:15'),
  (2, 2, 4, 3, 'DELIVERED', 'CARD', 680.00, 34.00, 0.00, 50.00, 664.00, 'WELCOME50', 'Extra lime; no "pink" onions', '2025-03-10 21:02:45.900', '2025-03-10 21:02:45', '2025-03-10 21:37:51'),
  (3, 5, 5, 6, 'DELIVERED', 'UPI', 310.00, 15.50, 29.00, 0.00, 354.50, NULL, 'जैन भोजन, कृपया', '2025-03-11 16:10:00.000', '2025-03-11 16:10:00', '2025-03-11 16:47:09'),
  (4, 3, 4, 4, 'CANCELLED', 'WALLET', 260.00, 13.00, 29.00, 0.00, 302.00, NULL, NULL, '2025-03-12 23:48:30.250', '2025-03-12 23:48:30', '2025-03-12 23:52:30'),
  (5, 7, 7, 9, 'DELIVERED', 'COD', 418.00, 20.90, 29.00, 0.00, 467.90, NULL, '', '2025-03-13 07:15:09.318', '2025-03-13 07:15:09', '2025-03-13 07:56:24'),
  (6, 1, 3, 2, 'DELIVERED', 'UPI', 610.00, 30.50, 0.00, 0.00, 640.50, NULL, NULL, '2025-03-17 10:20:20.020', '2025-03-17 10:20:20', '2025-03-17 11:03:38'),
  (7, 4, 5, 5, 'DELIVERED', 'CARD', 280.00, 14.00, 29.00, 0.00, 323.00, NULL, 'Call from the gate,\nthe bell is broken', '2025-03-18 19:00:01.001', '2025-03-18 19:00:01', '2025-03-18 19:45:22'),
  (8, 8, 6, 10, 'DELIVERED', 'CARD', 1245.00, 62.25, 0.00, 100.00, 1207.25, 'BIENVENUE', 'Sans coriandre', '2025-03-19 20:45:59.999', '2025-03-19 20:45:59', '2025-03-19 21:33:23'),
  (9, 9, 8, 11, 'DELIVERED', 'NETBANKING', 1620.00, 81.00, 0.00, 0.00, 1701.00, NULL, NULL, '2025-03-20 13:05:05.500', '2025-03-20 13:05:05', '2025-03-20 13:54:32'),
  (10, 6, 2, 8, 'DELIVERED', 'UPI', 289.00, 14.45, 29.00, 57.80, 274.65, 'HOSTEL20', NULL, '2025-03-21 22:30:00.000', '2025-03-21 22:30:00', '2025-03-21 23:21:30'),
  (11, 10, 1, 12, 'DELIVERED', 'UPI', 190.00, 9.50, 29.00, 0.00, 228.50, NULL, 'More chutney 🙏', '2025-03-22 09:09:09.090', '2025-03-22 09:09:09', '2025-03-22 10:02:42'),
  (12, 2, 4, 3, 'DELIVERED', 'CARD', 210.00, 10.50, 29.00, 0.00, 249.50, NULL, NULL, '2025-03-23 22:22:22.222', '2025-03-23 22:22:22', '2025-03-23 23:17:58'),
  (13, 5, 5, 7, 'DELIVERED', 'UPI', 260.00, 13.00, 29.00, 0.00, 302.00, NULL, NULL, '2025-03-25 17:35:10.000', '2025-03-25 17:35:10', '2025-03-25 18:32:49'),
  (14, 7, 7, 9, 'DELIVERED', 'UPI', 330.00, 16.50, 29.00, 0.00, 375.50, NULL, NULL, '2025-03-27 06:58:47.642', '2025-03-27 06:58:47', '2025-03-27 07:58:29'),
  (15, 9, 8, 11, 'CANCELLED', 'COD', 385.00, 19.25, 29.00, 0.00, 433.25, NULL, 'Ask before sending', '2025-03-30 21:40:00.010', '2025-03-30 21:40:00', '2025-03-30 21:44:00'),
  (16, 10, 2, 12, 'DELIVERED', 'WALLET', 498.00, 24.90, 29.00, 0.00, 551.90, NULL, NULL, '2025-03-31 20:10:10.100', '2025-03-31 20:10:10', '2025-03-31 21:13:58'),
  (17, 12, 7, 14, 'DELIVERED', 'UPI', 308.00, 15.40, 29.00, 50.00, 302.40, 'WELCOME50', NULL, '2025-04-01 08:30:00.000', '2025-04-01 08:30:00', '2025-04-01 09:35:51'),
  (18, 1, 2, 1, 'OUT_FOR_DELIVERY', 'UPI', 249.00, 12.45, 29.00, 0.00, 290.45, NULL, NULL, '2025-04-02 11:45:30.750', '2025-04-02 11:45:30', '2025-04-02 11:51:41'),
  (19, 4, 5, 5, 'PREPARING', 'COD', 90.00, 4.50, 29.00, 0.00, 123.50, NULL, NULL, '2025-04-02 11:58:01.333', '2025-04-02 11:58:01', '2025-04-02 12:04:12'),
  (20, 3, 4, 4, 'PLACED', 'UPI', 210.00, 10.50, 29.00, 0.00, 249.50, NULL, 'Don''t ring, text me', '2025-04-02 11:59:59.999', '2025-04-02 11:59:59', NULL);

INSERT INTO order_item
  (orders_id, line_number, menu_id, quantity, unit_price, note, createdDate, modifiedDate)
VALUES
  (1, 1, 1, 2, 85.00, NULL, '2025-03-10 08:31:12', NULL),
  (1, 2, 3, 2, 35.00, NULL, '2025-03-10 08:31:12', NULL),
  (2, 1, 10, 2, 210.00, NULL, '2025-03-10 21:02:45', NULL),
  (2, 2, 11, 1, 260.00, 'Cut into 6', '2025-03-10 21:02:45', NULL),
  (3, 1, 12, 2, 90.00, NULL, '2025-03-11 16:10:00', NULL),
  (3, 2, 14, 1, 130.00, NULL, '2025-03-11 16:10:00', NULL),
  (4, 1, 11, 1, 260.00, NULL, '2025-03-12 23:48:30', NULL),
  (5, 1, 17, 2, 88.00, 'Hot, hot, hot', '2025-03-13 07:15:09', NULL),
  (5, 2, 18, 1, 132.00, NULL, '2025-03-13 07:15:09', NULL),
  (5, 3, 19, 1, 110.00, NULL, '2025-03-13 07:15:09', NULL),
  (6, 1, 7, 2, 140.00, NULL, '2025-03-17 10:20:20', NULL),
  (6, 2, 9, 2, 165.00, NULL, '2025-03-17 10:20:20', NULL),
  (7, 1, 13, 2, 95.00, NULL, '2025-03-18 19:00:01', NULL),
  (7, 2, 12, 1, 90.00, NULL, '2025-03-18 19:00:01', NULL),
  (8, 1, 15, 1, 695.00, NULL, '2025-03-19 20:45:59', NULL),
  (8, 2, 16, 2, 275.00, NULL, '2025-03-19 20:45:59', NULL),
  (9, 1, 20, 3, 385.00, '1 without egg', '2025-03-20 13:05:05', '2025-03-20 13:54:32'),
  (9, 2, 21, 1, 145.00, NULL, '2025-03-20 13:05:05', NULL),
  (9, 3, 22, 2, 160.00, NULL, '2025-03-20 13:05:05', NULL),
  (10, 1, 4, 1, 289.00, NULL, '2025-03-21 22:30:00', NULL),
  (11, 1, 1, 1, 85.00, NULL, '2025-03-22 09:09:09', NULL),
  (11, 2, 2, 1, 70.00, NULL, '2025-03-22 09:09:09', NULL),
  (11, 3, 3, 1, 35.00, NULL, '2025-03-22 09:09:09', NULL),
  (12, 1, 10, 1, 210.00, NULL, '2025-03-23 22:22:22', NULL),
  (13, 1, 14, 2, 130.00, NULL, '2025-03-25 17:35:10', NULL),
  (14, 1, 17, 1, 88.00, NULL, '2025-03-27 06:58:47', NULL),
  (14, 2, 18, 1, 132.00, NULL, '2025-03-27 06:58:47', NULL),
  (14, 3, 19, 1, 110.00, NULL, '2025-03-27 06:58:47', NULL),
  (15, 1, 20, 1, 385.00, NULL, '2025-03-30 21:40:00', NULL),
  (16, 1, 5, 2, 249.00, NULL, '2025-03-31 20:10:10', NULL),
  (17, 1, 17, 1, 88.00, NULL, '2025-04-01 08:30:00', NULL),
  (17, 2, 19, 2, 110.00, NULL, '2025-04-01 08:30:00', NULL),
  (18, 1, 5, 1, 249.00, NULL, '2025-04-02 11:45:30', NULL),
  (19, 1, 12, 1, 90.00, NULL, '2025-04-02 11:58:01', NULL),
  (20, 1, 10, 1, 210.00, NULL, '2025-04-02 11:59:59', NULL);

INSERT INTO delivery
  (delivery_id, orders_id, delivery_agent_id, status, picked_up_at, delivered_at, distance_km, tip, route, createdDate, modifiedDate)
VALUES
  (1, 1, 1, 'DELIVERED', '2025-03-10 08:50:12.227', '2025-03-10 09:04:15', 2.78, 20.00, NULL, '2025-03-10 08:40:12.227457', '2025-03-10 09:04:15.654321'),
  (2, 2, 3, 'DELIVERED', '2025-03-10 21:21:46.146', '2025-03-10 21:37:51', 1.1, 0.00, NULL, '2025-03-10 21:11:46.146914', '2025-03-10 21:37:51.308642'),
  (3, 3, 4, 'DELIVERED', '2025-03-11 16:29:00.370', '2025-03-11 16:47:09', 2.16, 0.00, '{"points": [[28.549300, 77.202100], [28.549399, 77.202100]], "minutes": 23}', '2025-03-11 16:19:00.370371', '2025-03-11 16:47:09.962963'),
  (4, 5, 6, 'DELIVERED', '2025-03-13 07:34:09.935', '2025-03-13 07:56:24', 6.1, 20.00, NULL, '2025-03-13 07:24:09.935285', NULL),
  (5, 6, 2, 'DELIVERED', '2025-03-17 10:39:20.760', '2025-03-17 11:03:38', 2.58, 0.00, '{"points": [[12.978370, 77.640840], [12.978399, 77.640840]], "minutes": 26}', '2025-03-17 10:29:20.760742', '2025-03-17 11:03:38.925926'),
  (6, 7, 4, 'DELIVERED', '2025-03-18 19:19:01.865', '2025-03-18 19:45:22', 1.8, 0.00, NULL, '2025-03-18 19:09:01.865199', '2025-03-18 19:45:22.580247'),
  (7, 8, 5, 'DELIVERED', '2025-03-19 21:05:00.986', '2025-03-19 21:33:23', 3.76, 0.00, NULL, '2025-03-19 20:55:00.986656', '2025-03-19 21:33:23.234568'),
  (8, 9, 7, 'DELIVERED', '2025-03-20 13:24:05.611', '2025-03-20 13:54:32', 2.06, 20.00, '{"points": [[17.448294, 78.391487], [17.448299, 78.391487]], "minutes": 29}', '2025-03-20 13:14:05.611113', '2025-03-20 13:54:32.888889'),
  (9, 10, 1, 'DELIVERED', '2025-03-21 22:49:00.234', '2025-03-21 23:21:30', 3.1, 0.00, NULL, '2025-03-21 22:39:00.234570', '2025-03-21 23:21:30.000001'),
  (10, 11, 1, 'DELIVERED', '2025-03-22 09:28:09.448', '2025-03-22 10:02:42', 6.88, 0.00, NULL, '2025-03-22 09:18:09.448027', '2025-03-22 10:02:42.197531'),
  (11, 12, 3, 'DELIVERED', '2025-03-23 22:41:22.703', '2025-03-23 23:17:58', 7, 0.00, '{"points": [[19.054999, 72.840220], [19.054999, 72.840220]], "minutes": 32}', '2025-03-23 22:31:22.703484', '2025-03-23 23:17:58.851852'),
  (12, 13, 4, 'DELIVERED', '2025-03-25 17:54:10.604', '2025-03-25 18:32:49', 3.46, 20.00, NULL, '2025-03-25 17:44:10.604941', NULL),
  (13, 14, 6, 'DELIVERED', '2025-03-27 07:17:48.370', '2025-03-27 07:58:29', 2.66, 0.00, NULL, '2025-03-27 07:07:48.370398', '2025-03-27 07:58:29.160494'),
  (14, 16, 1, 'DELIVERED', '2025-03-31 20:29:11.075', '2025-03-31 21:13:58', 2.88, 0.00, NULL, '2025-03-31 20:19:11.075312', '2025-03-31 21:13:58.469136'),
  (15, 17, 6, 'DELIVERED', '2025-04-01 08:49:00.098', '2025-04-01 09:35:51', 3.9, 20.00, NULL, '2025-04-01 08:39:00.098769', '2025-04-01 09:35:51.123457'),
  (16, 18, 1, 'PICKED_UP', '2025-04-02 12:04:30.972', NULL, 1.26, 0.00, '{"points": [[12.935242, 77.624481], [12.935299, 77.624481]], "minutes": 38}', '2025-04-02 11:54:30.972226', NULL);

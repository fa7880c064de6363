-- A quarter of an hour at the same company: what its application would write, stamped by the clock.
-- Can be loaded again and again, each time with the same number of row versions a table:
--
--   table             inserted  updated
--   location                 -        1
--   customer                 2        2
--   restaurant               -        1
--   delivery_agent           1        1
--   customer_address         2        1
--   menu                     1        3
--   orders                   3        3
--   order_item               5        1
--   delivery                 2        2

SET NAMES utf8mb4;

-- A city opens.
UPDATE location SET is_serviceable = 1, modifiedDate = NOW() WHERE location_id = 8;
INSERT INTO delivery_agent (location_id, full_name, mobile, vehicle, joined_on)
VALUES (8, 'Stanzin Namgyal', CONCAT('+91 ', UUID_SHORT() % 10000000000), 'electric scooter', CURRENT_DATE);
SET @agent = LAST_INSERT_ID();

-- Two customers arrive; the first orders at once, in one transaction as the application does it.
INSERT INTO customer (full_name, email, mobile, date_of_birth, preferences, marketing_opt_in)
VALUES ('Núria "Nur" Kapoor', CONCAT('nuria.', UUID_SHORT(), '@example.in'), '+91 98333 00011', '1997-09-09',
        '{"diet": "veg", "spice": 1}', 1);
SET @nuria = LAST_INSERT_ID();
INSERT INTO customer_address (customer_id, location_id, label, line1, line2, instructions, is_default)
VALUES (@nuria, 1, 'Home', '5, "The Nest", 6th Block', '', 'Leave it on the shelf,\nplease 🙏', 1);
SET @nuria_address = LAST_INSERT_ID();

START TRANSACTION;
INSERT INTO orders (customer_id, restaurant_id, customer_address_id, payment_method,
                    items_total, tax, delivery_fee, total, ordered_at)
VALUES (@nuria, 1, @nuria_address, 'UPI', 155.00, 7.75, 29.00, 191.75, NOW(3));
SET @first = LAST_INSERT_ID();
INSERT INTO order_item (orders_id, line_number, menu_id, quantity, unit_price, note)
VALUES (@first, 1, 1, 1, 85.00, NULL), (@first, 2, 2, 1, 70.00, 'extra saagu');
INSERT INTO delivery (orders_id, delivery_agent_id, distance_km) VALUES (@first, 2, 1.85);
COMMIT;

INSERT INTO customer (full_name, email, mobile)
VALUES ('Padma Angmo', CONCAT('padma.', UUID_SHORT(), '@example.in'), '+91 96220 00042');
SET @padma = LAST_INSERT_ID();
INSERT INTO customer_address (customer_id, location_id, label, line1, landmark, is_default)
VALUES (@padma, 8, 'Work', 'Main Bazaar, shop 3', NULL, 1);

-- Old customers order again; one of the orders is cancelled before anybody picks it up.
START TRANSACTION;
INSERT INTO orders (customer_id, restaurant_id, customer_address_id, payment_method,
                    items_total, tax, delivery_fee, discount, total, coupon_code, ordered_at)
VALUES (9, 8, 11, 'CARD', 545.00, 27.25, 0.00, 100.00, 472.25, 'EID100', NOW(3));
SET @second = LAST_INSERT_ID();
INSERT INTO order_item (orders_id, line_number, menu_id, quantity, unit_price)
VALUES (@second, 1, 20, 1, 385.00), (@second, 2, 22, 1, 160.00);
INSERT INTO delivery (orders_id, delivery_agent_id, distance_km) VALUES (@second, @agent, 4.20);
COMMIT;

START TRANSACTION;
INSERT INTO orders (customer_id, restaurant_id, customer_address_id, payment_method,
                    items_total, tax, delivery_fee, total, special_instructions, ordered_at)
VALUES (2, 4, 3, 'COD', 210.00, 10.50, 29.00, 249.50, 'No onions; I''m allergic', NOW(3));
SET @third = LAST_INSERT_ID();
INSERT INTO order_item (orders_id, line_number, menu_id, quantity, unit_price) VALUES (@third, 1, 10, 1, 210.00);
COMMIT;
UPDATE orders SET status = 'CANCELLED', modifiedDate = NOW() WHERE orders_id = @third;

-- Yesterday's open orders move on.
UPDATE orders SET status = 'DELIVERED', modifiedDate = NOW() WHERE orders_id = 18;
UPDATE delivery SET status = 'DELIVERED', delivered_at = CURRENT_TIMESTAMP, tip = tip + 10.00 WHERE orders_id = 18;
UPDATE orders SET status = 'OUT_FOR_DELIVERY', modifiedDate = NOW() WHERE orders_id = 19;
UPDATE order_item SET note = 'replaced: out of tamarind', modifiedDate = NOW() WHERE orders_id = 19 AND line_number = 1;
UPDATE orders SET status = 'ACCEPTED', modifiedDate = NOW() WHERE orders_id = 20;
UPDATE orders SET status = 'PREPARING', modifiedDate = NOW() WHERE orders_id = 20;
UPDATE delivery SET tip = tip + 15.00 WHERE orders_id = 1;

-- A restaurant puts its prices up and adds a dish; others are rated.
UPDATE menu SET price = price + 5.00 WHERE restaurant_id = 1;
INSERT INTO menu (restaurant_id, item_name, description, category, price, is_veg, calories)
VALUES (3, 'Tarte Tatin', 'À partager, "warm"', 'Desserts', 310.00, 1, 540);
UPDATE restaurant SET rating_count = rating_count + 1, rating = 4.4 WHERE restaurant_id = 7;
UPDATE delivery_agent SET rating = rating + 0.001 WHERE delivery_agent_id = 3;
UPDATE customer SET loyalty_points = loyalty_points + 19 WHERE customer_id IN (1, 9);
UPDATE customer_address SET landmark = 'blue gate', modifiedDate = NOW() WHERE customer_address_id = 8;
